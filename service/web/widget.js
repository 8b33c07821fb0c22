/**
 * Signs the user of a page in, by a code from the page's server:
 *
 *   <script defer data-external-auth-code="…" src="https://auth.example.com/widget.js"></script>
 *
 * The session is held in memory only. Calls before this has loaded:
 *
 *   (window.Doorcode = window.Doorcode || []).push(doorcode => …)
 *
 * Types: widget.d.ts beside this file.
 */
(() => {
  const ATTRIBUTE = "data-external-auth-code";
  const SIGN_OUTS = "doorcode:signout";
  const EXCHANGE = `mutation ($code: String!) {
    exchangeExternalAuthCode(externalAuthCode: $code, lifetimeSeconds: 3600) {
      ... on SessionGrant {
        token newUser session { id createdAt expiresAt } accessToken { token expiresAt }
        user { id externalId email metadata origin } signInUrl
      }
      ... on SignInError { code message reference retryAfterSeconds signInUrl }
    }
  }`;
  const ISSUE = "mutation { issueAccessToken { token expiresAt } }";
  const END = "mutation { endSession }";
  const RETRYABLE = /^(NETWORK|TOO_MANY|SERVICE|INTERNAL|HTTP_429|HTTP_5)/;
  const ABOUT_THE_CODE = /CODE|SIGNATURE|CLAIMS/; // a fresh code may help
  const HOUR = 3600000;

  // Browsers name no current script in modules and shadow roots. There, the stack names the address of this file.
  const address = document.currentScript?.src || /https?:[^\s)]+(?=:\d+:\d+)/.exec(new Error().stack)?.[0];
  const script = document.currentScript || findScript(document);
  const firstCode = script?.getAttribute(ATTRIBUTE);
  script?.removeAttribute(ATTRIBUTE);
  const endpoint = new URL("graphql", address);

  const HINTS = {
    NETWORK_ERROR: `Is ${origin} in DOORCODE_ALLOWED_ORIGINS?`,
    BLOCKED_BY_CSP: `Allow ${endpoint.origin} in connect-src of the Content-Security-Policy of this page.`,
    SANDBOXED_FRAME: "A frame with the attribute sandbox also needs allow-same-origin.",
    NO_CODE: `The code is empty. Does the server of this page fill in ${ATTRIBUTE}?`,
  };

  let session = null;
  let startedAt; // when this browser began the sign-in of the session
  let renewAt; // when a fresh code is asked for
  let accessToken;
  let issuing; // the pending request for an access token, if any
  let refreshing; // the pending request for a fresh code, if any
  let signingIn; // settles with the latest sign-in, never rejects
  let latest = {}; // the code and promise of a sign-in that is pending or holds
  let unsent; // a code that could not be sent
  let turn = 0; // the latest sign-in or sign-out: results of earlier ones are dropped
  let isWanted = true; // until the user signs out
  let hasFailed; // whether an error of this renewal was told
  let codeNeeded;
  let signInUrl = null; // where the customer's users sign in, as the last answer said
  let isBlocked; // by a Content-Security-Policy
  let clock = Date; // replaced at the sign-in
  let timers = [];
  let past = {}; // by name, the last event that is still true

  const ignore = () => false;
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const until = (time) => Date.parse(time) - clock.now();

  /** A minute before the end, or at 3/4 of a short lifetime. */
  const renewalOf = (time) => Date.parse(time) - Math.min(60000, until(time) / 4);

  const failure = (what) => Object.assign(new Error(), { signInUrl }, what, { retryable: RETRYABLE.test(what.code) });

  function findScript(root) {
    for (const element of root.querySelectorAll("*")) {
      if (element.src == address && element.hasAttribute(ATTRIBUTE)) return element;
      const found = element.shadowRoot && findScript(element.shadowRoot);
      if (found) return found;
    }
  }

  /** The server's clock, from a JWT of this moment. It goes on when the computer sleeps or its own clock is set back. */
  function clockOf(jwt) {
    const { iat } = JSON.parse(atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    const [date, steady, behind] = [Date.now(), performance.now(), iat * 1000 - Date.now()];
    return { now: () => behind + Math.max(Date.now(), date + performance.now() - steady) };
  }

  /** Returns the value of the only field, or throws a Failure. */
  async function send(query, token, variables) {
    let status, retryAfterSeconds, answer;
    if (document.prerendering) await new Promise((done) => document.addEventListener("prerenderingchange", done));
    try {
      const response = await fetch(endpoint, {
        method: "POST",
        credentials: "omit",
        keepalive: query == END, // because the page may be closed at once
        signal: AbortSignal.timeout?.(20000), // not in Safari before 16
        headers: { "Content-Type": "application/json", ...(token && { Authorization: "Bearer " + token }) },
        body: JSON.stringify({ query, variables }),
      });
      status = response.status;
      retryAfterSeconds = +response.headers.get("Retry-After");
      answer = await response.json();
    } catch {} // what is set by now says what failed
    const value = answer?.data && Object.values(answer.data)[0];
    if (value?.signInUrl !== undefined) ({ signInUrl } = value);
    if (value?.message) throw failure(value);
    if (value != null) return value;
    const { message, extensions } = answer?.errors?.[0] || {};
    const unreachable = isBlocked ? "BLOCKED_BY_CSP" : origin == "null" ? "SANDBOXED_FRAME" : "NETWORK_ERROR";
    throw failure({
      code: status >= 400 ? "HTTP_" + status : unreachable,
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
        await pause(wait * (1000 + 500 * Math.random()));
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

  /** Renews and expires by timers. They are late after a sleep: see `wake`. */
  function plan() {
    timers.forEach(clearTimeout);
    timers = [];
    if (!session) return;
    renewAt = renewalOf(session.expiresAt);
    timers = [setTimeout(refresh, renewAt - clock.now()), setTimeout(getSession, until(session.expiresAt) + 50)];
  }

  function leave(event) {
    session = null;
    latest = {};
    plan();
    emit(event, event == "expired" ? { signInUrl } : null);
  }

  /** Asks the page for a code and signs in with it, unless that is under way. Never rejects. */
  function refresh() {
    return (refreshing ||= codeNeeded && isWanted ? signInAgain().finally(() => (refreshing = null)) : null);
  }

  async function signInAgain() {
    const mine = turn;
    let wait = 9;
    try {
      const code = await codeNeeded();
      if (mine != turn) return;
      unsent = null;
      latest = {}; // the page may hand out one code twice
      return code && (await authenticate(code));
    } catch (error) {
      if (error?.code && !error.retryable && !ABOUT_THE_CODE.test(error.code)) return;
      wait = Math.max(wait, error?.retryAfterSeconds || 0);
      hasFailed = true;
    }
    if (session && until(session.expiresAt) > 0) timers.push(setTimeout(refresh, wait * 1000));
  }

  /** After a sleep, without a network, or from the back/forward cache, no timer was in time. */
  function wake() {
    obeySignOut();
    if (document.visibilityState == "hidden") return;
    if (session && clock.now() < renewAt) plan();
    else if (session && until(session.expiresAt) <= 0) getSession();
    else if (session || past.expired || past.error?.detail.retryable)
      refresh() || (unsent && authenticate(unsent).catch(ignore));
  }

  async function exchange(code, mine) {
    const began = Date.now();
    try {
      await null; // calls that waited in the queue may say first how to get a code
      if (mine != turn) return settled();
      if (!code) throw failure({ code: "NO_CODE", message: "There is no code to sign in with." });
      const granted = await ask(EXCHANGE, session?.token, { code }, () => mine == turn);
      const { session: opened, accessToken: issued, signInUrl: _, ...rest } = granted;
      if (mine != turn) {
        if (session?.token != rest.token) end(rest.token);
        return settled();
      }
      if (session && session.user.id != rest.user.id) end(session.token);
      clock = clockOf(issued.token);
      session = { ...opened, ...rest };
      startedAt = began;
      hasFailed = unsent = null;
      keep(issued);
      plan();
      emit("ready", session);
      obeySignOut();
      return session;
    } catch (error) {
      if (mine == turn && latest.code == code) latest = {};
      if (mine == turn && error.code == "NETWORK_ERROR") unsent = code;
      const mayAsk = mine == turn && !session && !refreshing && ABOUT_THE_CODE.test(error.code);
      if (mayAsk && (await refresh())) return session;
      if (mine == turn) {
        const isOffline = error.code == "NETWORK_ERROR" && !navigator.onLine;
        const hint = isOffline ? "The browser is offline." : HINTS[error.code];
        if (hint) console.warn("Doorcode: " + hint);
        if (!session || !refreshing || !hasFailed) emit("error", error);
      }
      throw error;
    }
  }

  function keep({ token, expiresAt }) {
    accessToken = { token, expiresAt, renewAt: renewalOf(expiresAt) };
  }

  async function issue(of) {
    try {
      const issued = await ask(ISSUE, of.token);
      if (session == of) keep(issued);
    } catch (error) {
      if (error.code != "UNAUTHENTICATED") throw error;
      await lapse(of); // the server has ended the session
    }
  }

  /** The session is over, unless the page has a fresh code within 20 seconds. */
  async function lapse(of) {
    await Promise.race([refresh(), pause(20000)]);
    if (session == of) leave("expired");
  }

  /** Returns the Session, or throws a Failure. A code that was used for the present sign-in is not sent again. */
  function authenticate(code) {
    code = String(code ?? "").trim();
    if (code && code == latest.code) return latest.promise;
    isWanted = true;
    latest = { code };
    latest.promise = exchange(code, ++turn);
    signingIn = latest.promise.catch(ignore);
    return latest.promise;
  }

  /** Waits for pending sign-ins. */
  async function settled() {
    for (let seen; seen != signingIn; await seen) seen = signingIn;
    return session;
  }

  /** Waits for pending sign-ins. Returns the Session or null. */
  async function getSession() {
    await settled();
    if (!session && refreshing) await Promise.race([refreshing, pause(20000)]);
    if (session && until(session.expiresAt) <= 0) await lapse(session);
    return session;
  }

  /** Returns a JWT, or null if no user is signed in. A token that is still valid is returned while the server is away. */
  async function getAccessToken() {
    const of = await getSession();
    if (of && clock.now() > accessToken.renewAt) {
      issuing ||= issue(of).finally(() => (issuing = null));
      const isValid = until(accessToken.expiresAt) > 0;
      await (isValid ? Promise.race([issuing, pause(3000)]).catch(ignore) : issuing);
    }
    return session && accessToken.token;
  }

  /** `fn` returns a code. It is called if no user is signed in, shortly before the session ends, and when it has ended. */
  function onCodeNeeded(fn) {
    codeNeeded = async () => fn();
    if (session) plan();
    else if (!latest.promise) refresh();
  }

  /** Signs out: in this page at once, then at the server and in the other pages of this origin. */
  async function signOut() {
    if (session) rememberSignOut(session.user.id);
    return signOutHere();
  }

  async function signOutHere() {
    const token = session?.token;
    const isPending = latest.promise;
    turn++;
    signingIn = unsent = null;
    isWanted = false;
    if (token || isPending) leave("signout");
    return token ? end(token) : false;
  }

  /** By the hash of a user ID, when that user has signed out of this origin within the hour. */
  function signOuts() {
    try {
      return JSON.parse(localStorage[SIGN_OUTS] || "{}");
    } catch {
      return {}; // the browser refuses storage
    }
  }

  /** FNV-1a: the storage names no user. */
  const hash = (text) => [...text].reduce((sum, sign) => Math.imul(sum ^ sign.codePointAt(), 16777619), 2166136261);

  function rememberSignOut(id) {
    const recent = Object.entries(signOuts()).filter(([, time]) => time > Date.now() - HOUR);
    try {
      localStorage[SIGN_OUTS] = JSON.stringify({ ...Object.fromEntries(recent), [hash(id)]: Date.now() });
    } catch {} // then each page signs out by itself
  }

  function obeySignOut() {
    if (session && signOuts()[hash(session.user.id)] > startedAt) signOutHere();
  }

  /** Calls `fn` with the detail of each event, and of a past one that is still true. Returns how to stop. */
  function on(event, fn) {
    const name = event.replace("doorcode:", "");
    const listener = ({ detail }) => fn(detail);
    document.addEventListener("doorcode:" + name, listener);
    if (past[name]) queueMicrotask(() => listener(past[name]));
    return () => document.removeEventListener("doorcode:" + name, listener);
  }

  const early = window.Doorcode; // the queue, this API, or an element of the page with this name
  const push = (fn) => queueMicrotask(() => fn(window.Doorcode));
  if (typeof early?.authenticate != "function") {
    window.Doorcode = { authenticate, getSession, getAccessToken, onCodeNeeded, signOut, on, push };
    document.addEventListener("visibilitychange", wake);
    document.addEventListener("securitypolicyviolation", ({ blockedURI, effectiveDirective }) => {
      isBlocked ||= effectiveDirective == "connect-src" && blockedURI.startsWith(endpoint.origin);
    });
    ["pageshow", "online", "storage"].forEach((event) => addEventListener(event, wake));
    if (Array.isArray(early)) early.forEach(push);
    if (!script) console.info(`Doorcode: no <script ${ATTRIBUTE}>. Call Doorcode.authenticate(code).`);
  }
  if (firstCode != null) window.Doorcode.authenticate(firstCode).catch(ignore);
})();
