# sign.rb: ruby sign.rb
require "json"
require "openssl"
require "securerandom"

def base64url(bytes) = [bytes].pack("m0").tr("+/", "-_").delete("=")

def sign_code(user)
  now = Time.now.to_i
  claims = { user: user, iat: now, exp: now + 300, jti: SecureRandom.uuid }
  signed = [{ alg: "HS256", typ: "JWT" }, claims].map { |part| base64url(part.to_json) }.join(".")
  "#{signed}.#{base64url(OpenSSL::HMAC.digest("SHA256", ENV.fetch("DOORCODE_JWT_SECRET"), signed))}"
end

puts sign_code({ id: "crm-42", email: "ada@example.com", name: "Ada" })
