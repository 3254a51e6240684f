package mounts

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

func onGin(chat http.Handler) http.Handler {
	r := gin.Default()
	r.GET("/", gin.WrapF(home))
	r.Any("/im/*path", gin.WrapH(http.StripPrefix("/im", chat)))
	return r
}
