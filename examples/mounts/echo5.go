package mounts

import (
	"net/http"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"
)

func onEcho5(chat http.Handler) http.Handler {
	e := echo.New()
	e.Use(middleware.RequestLogger(), middleware.Recover())
	e.GET("/", echo.WrapHandler(http.HandlerFunc(home)))
	e.Any("/im/*", echo.WrapHandler(http.StripPrefix("/im", chat)))
	return e
}
