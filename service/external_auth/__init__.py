"""Sign-in by externalAuthCode: signing secrets, the policy, verifying a code, exchanging it, and inspecting it.

It may import accounts, sessions, the audit log, the database and the ground modules. It knows neither the other sign-in
method nor a transport.
"""
