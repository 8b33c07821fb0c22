// sign-in.mjs
const DOORCODE = "https://auth.example.com";

const SIGN_IN = `
  mutation SignIn($code: String!) {
    exchangeExternalAuthCode(externalAuthCode: $code) {
      __typename
      ... on SessionGrant { token newUser session { id expiresAt } user { id email metadata } }
      ... on SignInError { code message reference retryAfterSeconds }
    }
  }`;

export const REMEDIES = {
  EXTERNAL_AUTH_DISABLED: "other",
  MALFORMED_CODE: "fresh",
  INVALID_SIGNATURE: "fresh",
  CODE_EXPIRED: "fresh",
  CODE_NOT_YET_VALID: "later",
  INVALID_CLAIMS: "stop",
  CODE_ALREADY_USED: "fresh",
  UNKNOWN_USER: "stop",
  EMAIL_TAKEN: "stop",
  SEAT_LIMIT_REACHED: "later",
  USER_DEACTIVATED: "stop",
  EMAIL_LOGIN_DISABLED: "other",
  INVALID_EMAIL_CODE: "retype",
  TOO_MANY_ATTEMPTS: "wait",
};

/** Signs in, and continues the session of `token` if one is given. Resolves to `{ grant }` or `{ screen }`. */
export async function signIn(getCode, token) {
  let answer = await exchange(await getCode(), token);
  if (REMEDIES[answer.code] === "fresh") answer = await exchange(await getCode(), token);
  return answer.__typename === "SessionGrant" ? { grant: answer } : { screen: screenFor(answer) };
}

/** Returns what to show after a refusal. */
export function screenFor({ code, message, reference, retryAfterSeconds }) {
  const screen = { message, reference, button: null, waitSeconds: 0 };
  switch (REMEDIES[code]) {
    case "fresh":
    case "later":
      return { ...screen, button: "Try again" };
    case "wait":
      return { ...screen, button: "Try again", waitSeconds: retryAfterSeconds };
    case "other":
      return { ...screen, button: "Sign in another way" };
    case "retype":
      return { ...screen, button: "Send a new code" };
    default: // "stop", and codes that only a newer server knows
      return screen;
  }
}

async function exchange(code, token) {
  return (await ask(SIGN_IN, { code }, token)).exchangeExternalAuthCode;
}

/** Sends one GraphQL request. Tries again twice after no answer or a 5xx; throws any other error. */
export async function ask(query, variables = {}, token = undefined) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const request = { method: "POST", headers, body: JSON.stringify({ query, variables }), credentials: "omit" };
  for (const pause of [500, 2000, 0]) {
    const response = await fetch(`${DOORCODE}/graphql`, request).catch(() => null);
    if (response && response.status < 500) {
      const { data, errors } = await response.json();
      if (errors) throw Object.assign(new Error(errors[0].message), errors[0].extensions);
      return data;
    }
    const wait = 1000 * response?.headers.get("Retry-After") || pause; // 503: the database is away
    if (pause) await new Promise((resolve) => setTimeout(resolve, wait * (1 + Math.random() / 2)));
  }
  throw new Error("The sign-in service does not answer.");
}
