"""The pages on which people sign in: by a link with a code, by email, by a one-time link; and the pages that refuse them.

Members and admins sign in by one flow, which is given a `SignInPlace`. This package imports the features and the page
helpers of `service.web`, and never `service.web.admin`.
"""
