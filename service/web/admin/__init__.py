"""The admin panel: server-rendered pages, each over named operations of the public schema. It works without JavaScript."""
