/** Types of `window.Doorcode`, which `/widget.js` of a Doorcode instance defines. */

declare global {
  interface Window {
    Doorcode: Doorcode.Api | Doorcode.Queue;
  }

  namespace Doorcode {
    /** What `window.Doorcode` is before the script has loaded: `(window.Doorcode = window.Doorcode || []).push(fn)`. */
    type Queue = Array<(doorcode: Api) => void>;

    interface User {
      id: string;
      externalId: string | null;
      email: string | null;
      metadata: Record<string, unknown>;
      origin: "EMAIL" | "INVITATION" | "EXTERNAL_JWT";
    }

    interface Session {
      id: string;
      /** A secret: send it only to Doorcode. */
      token: string;
      createdAt: string;
      expiresAt: string;
      newUser: boolean;
      user: User;
    }

    /** Why no user was signed in. `message` is written for the user. */
    interface Failure extends Error {
      /** An error code of Doorcode, or NO_CODE, NETWORK_ERROR, BLOCKED_BY_CSP, SANDBOXED_FRAME, or HTTP_ and a status. */
      code: string;
      /** What an admin finds the refusal by. Only refusals of Doorcode have one. */
      reference?: string;
      retryable: boolean;
      retryAfterSeconds?: number | null;
      /** Where your users sign in again. Null if no admin has set it, or before Doorcode has answered. */
      signInUrl: string | null;
    }

    interface Events {
      ready: Session;
      error: Failure;
      expired: { signInUrl: string | null };
      signout: null;
    }

    interface Api {
      /** Signs in with this code. Rejects with a Failure. */
      authenticate(code: string): Promise<Session>;
      /** Waits for pending sign-ins. Null if no user is signed in. */
      getSession(): Promise<Session | null>;
      /** A JWT for your own backend. Null if no user is signed in. Rejects with a Failure if the server is away. */
      getAccessToken(): Promise<string | null>;
      /** `fn` returns a fresh code, or null if your page has no user. */
      onCodeNeeded(fn: () => string | null | undefined | Promise<string | null | undefined>): void;
      /** Resolves to whether the server had a session to end. */
      signOut(): Promise<boolean>;
      /** Calls `fn` for each such event, and for a past one that is still true. Returns a function that removes `fn`. */
      on<Name extends keyof Events>(
        event: Name | `doorcode:${Name}`,
        fn: (detail: Events[Name]) => void,
      ): () => void;
      push(fn: (doorcode: Api) => void): void;
    }
  }
}

export {};
