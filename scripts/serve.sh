#!/bin/sh
# serve.sh: start the dashboard on 127.0.0.1:$PORT, or say in one line why it cannot start.
set -eu
venv=${VENV:-.venv}
port=${PORT:-8501}
python="$venv/bin/python"

"$python" - "$port" <<'PY' || exit 1
import socket, sys
try:
    port = int(sys.argv[1])
    if not 1 <= port <= 65535:
        raise ValueError
except ValueError:
    sys.exit(f"ood-lens: PORT must be a number from 1 to 65535, got {sys.argv[1]!r}.")
with socket.socket() as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", port))
    except OSError as error:
        sys.exit(f"ood-lens: port {port} cannot be used ({error.strerror}). Choose another: make run PORT={port + 1}")
PY
echo "OOD Lens: http://127.0.0.1:$port   (Ctrl-C stops it)"
exec "$python" -m streamlit run app.py --server.address 127.0.0.1 --server.port "$port" --server.headless true
