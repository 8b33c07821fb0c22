"""API keys: creating, finding and revoking the bearer tokens of programs that administer the service.

It may import accounts, sessions, the audit log, paging, the database and the ground modules. It knows no sign-in method.
"""
