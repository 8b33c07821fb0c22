"""Sessions and access tokens: opening, finding, continuing, ending and listing sessions, and the keys that sign JWTs.

It may import accounts, the audit log, paging, the database and the ground modules. It knows no sign-in method's rules.
"""
