// doorcode.tsx
import type {} from "./widget"; // the types, saved from https://auth.example.com/widget.d.ts
import { createContext, useContext, useEffect, useState, type ReactNode } from "react";

export type SignIn =
  | { status: "pending" | "signed-out" }
  | { status: "signed-in"; session: Doorcode.Session }
  | { status: "failed"; failure: Doorcode.Failure };

const Context = createContext<SignIn>({ status: "pending" });

/** Loads the widget from `src`, and asks `getCode` for a code whenever one is needed. `getCode` resolves to null for a visitor. */
export function DoorcodeProvider(props: { src: string; getCode: () => Promise<string | null>; children: ReactNode }) {
  const [signIn, setSignIn] = useState<SignIn>({ status: "pending" });

  useEffect(() => {
    const stops: (() => void)[] = [];
    let isMounted = true;
    (window.Doorcode = window.Doorcode || []).push(async (doorcode) => {
      if (!isMounted) return;
      stops.push(doorcode.on("ready", (session) => setSignIn({ status: "signed-in", session })));
      // An error of a renewal leaves the session to its end.
      const fail = (failure: Doorcode.Failure) =>
        setSignIn((now) => (now.status === "signed-in" ? now : { status: "failed", failure }));
      stops.push(doorcode.on("error", fail));
      stops.push(doorcode.on("expired", () => setSignIn({ status: "signed-out" })));
      stops.push(doorcode.on("signout", () => setSignIn({ status: "signed-out" })));
      doorcode.onCodeNeeded(props.getCode);
      if (!(await doorcode.getSession())) setSignIn((now) => (now.status === "pending" ? { status: "signed-out" } : now));
    });
    return () => {
      isMounted = false;
      stops.forEach((stop) => stop());
    };
  }, []);

  return (
    <Context value={signIn}>
      <script async src={props.src} />
      {props.children}
    </Context>
  );
}

/** Who is signed in, and why no user is. */
export const useSignIn = () => useContext(Context);

/** A JWT for your own backend. Null if no user is signed in. */
export const getAccessToken = () =>
  new Promise<string | null>((done, fail) => window.Doorcode.push((doorcode) => void doorcode.getAccessToken().then(done, fail)));
