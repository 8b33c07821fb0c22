// sign-jsonwebtoken.mjs: npm install jsonwebtoken && node sign-jsonwebtoken.mjs
import { randomUUID } from "node:crypto";
import jwt from "jsonwebtoken";

const signCode = (user) =>
  jwt.sign({ user }, process.env.DOORCODE_JWT_SECRET, { algorithm: "HS256", expiresIn: "5 minutes", jwtid: randomUUID() });

console.log(signCode({ id: "crm-42", email: "ada@example.com", name: "Ada" }));
