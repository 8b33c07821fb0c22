// sign.go: go run sign.go
package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

func signCode(user map[string]any) (string, error) {
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		return "", err
	}
	now := time.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"user": user, "iat": now, "exp": now + 300, "jti": hex.EncodeToString(jti),
	})
	if err != nil {
		return "", err
	}
	base64url := base64.RawURLEncoding.EncodeToString
	signed := base64url([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64url(claims)
	mac := hmac.New(sha256.New, []byte(os.Getenv("DOORCODE_JWT_SECRET")))
	mac.Write([]byte(signed))
	return signed + "." + base64url(mac.Sum(nil)), nil
}

func main() {
	code, err := signCode(map[string]any{"id": "crm-42", "email": "ada@example.com", "name": "Ada"})
	if err != nil {
		panic(err)
	}
	fmt.Println(code)
}
