package mounts

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

func onEcho4(chat http.Handler) http.Handler {
	e := echo.New()
	e.Use(middleware.RequestLogger(), middleware.Recover())
	e.GET("/", echo.WrapHandler(http.HandlerFunc(home)))
	e.Any("/im/*", echo.WrapHandler(http.StripPrefix("/im", chat)))
	return e
}
