// sign-jose.mjs: npm install jose && node sign-jose.mjs
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";

const key = new TextEncoder().encode(process.env.DOORCODE_JWT_SECRET);

const signCode = (user) =>
  new SignJWT({ user })
    .setProtectedHeader({ alg: "HS256" })
    .setIssuedAt()
    .setExpirationTime("5 minutes")
    .setJti(randomUUID())
    .sign(key);

console.log(await signCode({ id: "crm-42", email: "ada@example.com", name: "Ada" }));
