import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { DoorcodeProvider, getAccessToken, useSignIn } from "./doorcode";

declare global {
  interface Window {
    getCode: () => Promise<string | null>;
  }
}

function App() {
  const signIn = useSignIn();
  const who = signIn.status === "signed-in" ? signIn.session.user.id : signIn.status === "failed" ? signIn.failure.code : "";
  return (
    <>
      <h1>
        {signIn.status} {who}
      </h1>
      <button onClick={async () => (document.title = (await getAccessToken()) ?? "no token")}>Token</button>
      <button onClick={() => window.Doorcode.push((doorcode) => void doorcode.signOut())}>Sign out</button>
    </>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <DoorcodeProvider src="https://auth.example.com/widget.js" getCode={window.getCode}>
      <App />
    </DoorcodeProvider>
  </StrictMode>,
);
