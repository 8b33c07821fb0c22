/** A frontend's life with the code of `CODE`: prints what it learnt, as JSON. */
import { signIn, signOut, whoIsSignedIn } from "./client.ts";

const { CODE = "" } = process.env;
const before = await whoIsSignedIn();
const user = await signIn(CODE);
const meanwhile = await whoIsSignedIn();
const ended = await signOut();
const after = await whoIsSignedIn();
const refusal = await signIn("no code").catch((error) => error.message);
console.log(JSON.stringify({ before, user, meanwhile, ended, after, refusal }));
