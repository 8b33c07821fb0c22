/** A service that stays up: for every access token on a line of its input it prints the claims, or what is wrong, as JSON. */
import { createInterface } from "node:readline";
import { whoIs } from "./who-is-it.mjs";

for await (const accessToken of createInterface({ input: process.stdin })) {
  const answer = await whoIs(accessToken).catch(({ code }) => ({ error: code }));
  console.log(JSON.stringify(answer));
}
