"""Pages for people: HTML made of the same answers that programs get. Templates and what they are filled with; no SQL
and no rules of its own. Nothing here is loaded before somebody asks for a page.
"""
