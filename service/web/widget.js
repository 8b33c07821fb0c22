/**
 * Signs the user of a page in, by a code from the page's server:
 *
 *   <script defer data-external-auth-code="…" src="https://auth.example.com/widget.js"></script>
 *
 * The session is held in memory only. Calls before this has loaded:
 *
 *   (window.Doorcode = window.Doorcode || []).push(doorcode => …)
 *
 * @typedef {{id, token, createdAt, expiresAt, newUser, user}} Session
 * @typedef {Error & {code, message, reference, retryable}} Failure
 */
(() => {
  const ATTRIBUTE = "data-external-auth-code";
  const script = document.currentScript;
  const firstCode = script.getAttribute(ATTRIBUTE);
  script.removeAttribute(ATTRIBUTE);

  const endpoint = new URL("graphql", script.src);
  const EXCHANGE = `mutation ($code: String!) {
    exchangeExternalAuthCode(externalAuthCode: $code, lifetimeSeconds: 3600) {
      ... on SessionGrant {
        token newUser session { id createdAt expiresAt } accessToken { token expiresAt }
        user { id externalId email metadata origin role }
      }
      ... on SignInError { code message reference retryAfterSeconds }
    }
  }`;
  const ISSUE = "mutation { issueAccessToken { token expiresAt } }";
  const END = "mutation { endSession }";
  const RETRYABLE = /^(NETWORK|TOO_MANY|INTERNAL|HTTP_429|HTTP_5)/;

  let session = null;
  let accessToken;
  let issuing; // the pending request for an access token, if any
  let signingIn; // settles with the latest sign-in, never rejects
  let turn = 0; // the latest sign-in or sign-out: results of earlier ones are dropped
  let codeNeeded = () => {};
  let clockError = 0; // milliseconds that this clock is behind the server's
  let timers = [];
  let past = {}; // by name, the last event that is still true

  const ignore = () => false;
  const until = (time) => Date.parse(time) - Date.now() - clockError;

  /** A minute before the end, or at 3/4 of a short lifetime. */
  const untilRenewal = (time) => until(time) - Math.min(60000, until(time) / 4);

  const failure = (what) => Object.assign(new Error(), what, { retryable: RETRYABLE.test(what.code) });

  /** Returns the value of the only field, or throws a Failure. */
  async function send(query, token, variables) {
    let status, retryAfterSeconds, answer;
    try {
      const response = await fetch(endpoint, {
        method: "POST",
        credentials: "omit",
        keepalive: query == END, // because the page may be closed at once
        signal: AbortSignal.timeout(20000),
        headers: { "Content-Type": "application/json", ...(token && { Authorization: "Bearer " + token }) },
        body: JSON.stringify({ query, variables }),
      });
      status = response.status;
      retryAfterSeconds = +response.headers.get("Retry-After");
      answer = await response.json();
    } catch {} // what is set by now says what failed
    const value = answer?.data && Object.values(answer.data)[0];
    if (value?.message) throw failure(value);
    if (value != null) return value;
    const { message, extensions } = answer?.errors?.[0] || {};
    throw failure({
      code: status >= 400 ? "HTTP_" + status : "NETWORK_ERROR",
      message: message || "The sign-in service cannot be reached.",
      retryAfterSeconds,
      ...extensions,
    });
  }

  /** Retries while that may help. */
  async function ask(query, token, variables, isWanted = () => true) {
    for (let tries = 0; ; tries++) {
      try {
        return await send(query, token, variables);
      } catch (error) {
        const wait = error.retryAfterSeconds || 2 ** tries / 2;
        if (!error.retryable || tries == 4 || wait > 120) throw error;
        await new Promise((done) => setTimeout(done, wait * (1000 + 500 * Math.random())));
        if (!isWanted()) throw error;
      }
    }
  }

  const end = (token) => ask(END, token).catch(ignore);

  function emit(name, detail) {
    if (name == "ready") past = {};
    else if (name != "error") delete past.ready;
    past[name] = new CustomEvent("doorcode:" + name, { detail });
    document.dispatchEvent(past[name]);
  }

  function leave(event) {
    session = null;
    emit(event);
  }

  /** The session, unless it has expired: timers are late after a sleep. */
  function current() {
    if (session && until(session.expiresAt) <= 0) leave("expired");
    return session;
  }

  function plan() {
    timers.forEach(clearTimeout);
    const time = session?.expiresAt;
    timers = time ? [setTimeout(renew, untilRenewal(time)), setTimeout(current, until(time) + 50)] : [];
  }

  async function renew() {
    const mine = turn;
    try {
      const code = await codeNeeded();
      if (code && mine == turn) authenticate(code).catch(ignore);
    } catch {
      if (session && mine == turn) timers.push(setTimeout(renew, 9000));
    }
  }

  function keep({ token, expiresAt }) {
    accessToken = { token, renewAt: Date.now() + untilRenewal(expiresAt) };
  }

  async function exchange(code, mine) {
    try {
      const { session: opened, accessToken: issued, ...rest } = await ask(EXCHANGE, null, { code }, () => mine == turn);
      if (mine != turn) {
        end(rest.token);
        return getSession();
      }
      if (session && session.user.id != rest.user.id) end(session.token);
      session = { ...opened, ...rest };
      clockError = Date.parse(session.createdAt) - Date.now();
      keep(issued);
      plan();
      emit("ready", session);
      return session;
    } catch (error) {
      if (error.code == "NETWORK_ERROR") console.warn(`Is ${location.origin} in DOORCODE_ALLOWED_ORIGINS?`);
      if (mine == turn) emit("error", error);
      throw error;
    }
  }

  async function issue(of) {
    try {
      const issued = await ask(ISSUE, of.token);
      if (session == of) keep(issued);
    } catch (error) {
      if (error.code != "UNAUTHENTICATED") throw error;
      if (session == of) leave("expired"); // the server has ended the session
    }
  }

  /** Returns the Session, or throws a Failure. */
  function authenticate(code) {
    const promise = exchange(code, ++turn);
    signingIn = promise.catch(ignore);
    return promise;
  }

  /** Waits for pending sign-ins. Returns the Session or null. */
  async function getSession() {
    for (let seen; seen != signingIn; await seen) seen = signingIn;
    return current();
  }

  /** Returns a JWT, or null if no user is signed in. */
  async function getAccessToken() {
    const of = await getSession();
    if (of && Date.now() > accessToken.renewAt) await (issuing ||= issue(of).finally(() => (issuing = null)));
    return session && accessToken.token;
  }

  /** `fn` returns a new code. It is called shortly before the session ends. */
  function onCodeNeeded(fn) {
    codeNeeded = fn;
    plan();
  }

  /** Signs out: in this page at once, then at the server. */
  async function signOut() {
    const token = session?.token;
    turn++;
    signingIn = null;
    leave("signout");
    plan();
    return token ? end(token) : false;
  }

  /** Calls `fn` with the detail of each event, and of a past one that is still true. Returns how to stop. */
  function on(event, fn) {
    const name = event.replace("doorcode:", "");
    const listener = ({ detail }) => fn(detail);
    document.addEventListener("doorcode:" + name, listener);
    if (past[name]) queueMicrotask(() => listener(past[name]));
    return () => document.removeEventListener("doorcode:" + name, listener);
  }

  const early = window.Doorcode || [];
  const push = (fn) => queueMicrotask(() => fn(window.Doorcode));
  if (!early.on) window.Doorcode = { authenticate, getSession, getAccessToken, onCodeNeeded, signOut, on, push };
  if (firstCode) window.Doorcode.authenticate(firstCode).catch(ignore);
  if (!early.on) early.forEach(push);
})();
