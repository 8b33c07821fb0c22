"""The pages and small routes around GraphQL: link login, who is signed in, probes, static files."""
