"""Branding: the name, the logo, the accent colour and the support contact on the pages and mails that end users see.

It may import the accounts (for email addresses), the audit log, the database and the ground modules. Pages, mails, the API and
the commands read it. There is no HTML, CSS or script of an admin's own.
"""
