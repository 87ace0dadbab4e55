"""A button that copies the page's address."""

from __future__ import annotations

import streamlit as st

from rationale_viewer.view.html import STYLE

SCRIPT = """
export default function ({ parentElement }) {
  if (parentElement.querySelector('button')) return;
  const button = document.createElement('button'), told = document.createElement('span');
  Object.assign(button, { type: 'button', className: 'plain', textContent: 'Copy link' });
  told.setAttribute('role', 'status');
  told.className = 'said';
  const field = document.createElement('input');
  Object.assign(field, { readOnly: true, hidden: true, className: 'address' });
  field.setAttribute('aria-label', 'The address of this page');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      told.textContent = 'Copied.';
    } catch {  // not allowed to: then it can be copied by hand
      field.value = location.href;
      field.hidden = false;
      field.select();
      told.textContent = 'Copy it here:';
    }
  });
  parentElement.append(button, told, field);
}
"""
_component = st.components.v2.component("rationale_copy_link", css=STYLE, js=SCRIPT)


def copy_link() -> None:
    """Draw the button."""
    _component(key="copy-link", width="content")
