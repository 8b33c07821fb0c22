// who-is-it.mjs
import { createRemoteJWKSet, jwtVerify } from "jose";

const DOORCODE = "https://auth.example.com";
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", DOORCODE));

/** Resolves to the claims of an access token; throws if it is not valid. */
export async function whoIs(accessToken) {
  const expected = { algorithms: ["ES256"], issuer: DOORCODE, audience: "doorcode", requiredClaims: ["exp", "sub"] };
  return (await jwtVerify(accessToken, keys, expected)).payload;
}
