"""The peer: what one writes in an afternoon. FastAPI, MobileSAM's own network, `SamPredictor` behind a lock.

python benchmarks/plain_server.py PORT
"""

from __future__ import annotations

import asyncio
import sys
import threading
import uuid

import cv2
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from peers import mobile_sam
from pycocotools import mask as coco
from segment_anything import SamPredictor

app = FastAPI()
predictor = SamPredictor(mobile_sam().to("cuda" if torch.cuda.is_available() else "cpu"))
lock = threading.Lock()
images: dict[str, tuple] = {}


@app.get("/readyz")
def ready() -> dict:
    return {}


@app.post("/v1/images", status_code=201)
async def upload(request: Request) -> dict:
    data = await request.body()
    return await asyncio.to_thread(encode, data)


def encode(data: bytes) -> dict:
    pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    with lock:
        predictor.set_image(pixels)
        key = uuid.uuid4().hex
        images[key] = (predictor.features, predictor.original_size, predictor.input_size)
    return {"id": key}


@app.post("/v1/images/{key}/masks")
def masks(key: str, body: dict) -> dict:
    prompt = body["objects"][0]
    points = np.array(prompt["points"])
    with lock:
        predictor.features, predictor.original_size, predictor.input_size = images[key]
        found, scores, _ = predictor.predict(points, np.ones(len(points)), multimask_output=True)
    best = int(scores.argmax())
    rle = coco.encode(np.asfortranarray(found[best]))
    return {"objects": [[{"score": float(scores[best]), "rle": {**rle, "counts": rle["counts"].decode()}}]]}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
