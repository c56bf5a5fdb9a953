"""The peer: a bare FastAPI route that does nothing, behind the same uvicorn.

`python -m benchmarks.toolserving.peer PORT`. Not here: measuring.
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.post("/noop")
async def noop() -> dict[str, bool]:
    """Nothing."""
    return {"ok": True}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
