/** Signs the payloads in `PAYLOADS` with the secret in `SECRET`, as backends do: with `jsonwebtoken` and with `jose`. */
import { SignJWT } from "jose";
import jsonwebtoken from "jsonwebtoken";

const key = new TextEncoder().encode(process.env.SECRET);
const WAYS = {
  jsonwebtoken: (payload) => jsonwebtoken.sign(payload, process.env.SECRET),
  "jsonwebtoken, 7 days": (payload) => jsonwebtoken.sign(payload, process.env.SECRET, { expiresIn: "7 days" }),
  jose: (payload) => new SignJWT(payload).setProtectedHeader({ alg: "HS256" }).sign(key),
  "jose, 7 days": (payload) =>
    new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "JWT" }).setIssuedAt().setExpirationTime("7 days").sign(key),
};

const codes = [];
for (const [way, sign] of Object.entries(WAYS))
  for (const [name, payload] of Object.entries(JSON.parse(process.env.PAYLOADS)))
    codes.push([way, name, await sign(payload)]);
console.log(JSON.stringify(codes));
