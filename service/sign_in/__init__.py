"""What every sign-in has in common, whatever its method: the attempt, the result, and the record of its outcome.

The methods (`external_auth`, `email_login`) import from here; this package imports sessions and the layers below, and knows
no method.
"""
