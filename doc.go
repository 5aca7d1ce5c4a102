// Package coder is the Go client of the Agentuity Coder Hub.
package coder
