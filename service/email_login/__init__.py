"""Sign-in by email: codes of 6 digits, one-time links, invitations, and the queue that sends the mails.

It may import accounts, sessions, the audit log, the database and the ground modules. It knows neither the other sign-in
method nor a transport.
"""
