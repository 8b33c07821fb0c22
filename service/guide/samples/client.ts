// client.ts
import { Client, fetchExchange } from "@urql/core";
import { SignInDocument, SignOutDocument, WhoIsSignedInDocument } from "./graphql.ts";

const DOORCODE = "https://auth.example.com";
let token = "";

export const client = new Client({
  url: `${DOORCODE}/graphql`,
  exchanges: [fetchExchange],
  preferGetMethod: false,
  fetchOptions: (): RequestInit => ({ headers: token ? { Authorization: `Bearer ${token}` } : {} }),
});

/** Signs in, or throws the message for the user. */
export async function signIn(code: string) {
  const { data, error } = await client.mutation(SignInDocument, { code });
  if (!data) throw error;
  const answer = data.exchangeExternalAuthCode;
  if (answer.__typename === "SignInError") throw new Error(answer.message);
  token = answer.token;
  return answer.user;
}

export const whoIsSignedIn = async () =>
  (await client.query(WhoIsSignedInDocument, {}).toPromise()).data?.currentSession?.user ?? null;

export const signOut = async () => (await client.mutation(SignOutDocument, {})).data?.endSession;
