"""Exports of annotation tools, one module a tool → what each annotator said of each text."""
