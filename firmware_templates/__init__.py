# SPDX-License-Identifier: MIT-0
"""C sources and templates that are copied or rendered into generated projects (MIT-0)."""
