"""Exports of annotation tools, one module per tool → each annotator's answer to each text."""
