"""The guide at `/guide`: reads the chapters of `service/guide/`, renders them as HTML, and serves both forms.

It may import the settings and the other pages' helpers of `service.web`. It reads no database and knows no caller.
"""
