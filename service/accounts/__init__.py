"""Users and seats: identifiers, look-up, provisioning, the seat limit, and what administrators change.

It may import the audit log, paging, the database and the ground modules. It knows no session, sign-in method or transport.
"""
