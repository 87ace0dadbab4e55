"""The viewer's pages: each takes what is open and draws itself."""
