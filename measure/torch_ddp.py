#!/usr/bin/env python3
"""One rank of PyTorch's DistributedDataParallel over gloo: `cnn` on Fashion-MNIST to a test accuracy.
Run by time_to_loss.py.

    torch_ddp.py RANK WORLD MASTER_ADDRESS INTERFACE BATCH LR NESTEROV TARGET STEPS DATASET

Rank 0 prints one JSON line with the seconds and steps from the first step to the target, or to so
many steps, whichever comes first.
"""

import datetime
import gzip
import json
import os
import sys
import time

import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

import torch_step

EVALUATE_EVERY = 50


def read(folder, part):
    with gzip.open(f"{folder}/{part}-images-idx3-ubyte.gz") as file:
        images = torch.frombuffer(bytearray(file.read()[16:]), dtype=torch.uint8)
    with gzip.open(f"{folder}/{part}-labels-idx1-ubyte.gz") as file:
        labels = torch.frombuffer(bytearray(file.read()[8:]), dtype=torch.uint8)
    return images.view(-1, 1, 28, 28).float() / 255, labels.long()


def accuracy(model, images, labels):
    with torch.no_grad():
        hits = sum(
            int((model(images[i : i + 500]).argmax(1) == labels[i : i + 500]).sum())
            for i in range(0, len(labels), 500)
        )
    return hits / len(labels)


def main():
    rank, world, master, interface, batch, lr, nesterov, target, steps, folder = sys.argv[1:]
    rank, world, batch, steps = int(rank), int(world), int(batch), int(steps)
    os.environ.update(MASTER_ADDR=master, MASTER_PORT="29500", GLOO_SOCKET_IFNAME=interface)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    dist.init_process_group(
        "gloo", rank=rank, world_size=world, timeout=datetime.timedelta(minutes=10)
    )
    images, labels = read(folder, "train")
    mean, deviation = images.mean(), images.std()
    images, labels = (images[rank::world] - mean) / deviation, labels[rank::world]
    test_images, test_labels = read(folder, "t10k")
    test_images = (test_images - mean) / deviation
    model = torch_step.cnn()
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(
        parallel.parameters(), lr=float(lr), momentum=0.9, nesterov=nesterov == "1"
    )
    luck = torch.Generator().manual_seed(rank)
    dist.barrier()
    began, step, reached, spent = time.monotonic(), 0, torch.zeros(1), 0.0
    while not reached.item() and step < steps:
        picked = torch.randint(len(labels), (batch,), generator=luck)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(parallel(images[picked]), labels[picked]).backward()
        optimizer.step()
        step += 1
        if step % EVALUATE_EVERY == 0:
            # Every rank tests a part, so that nobody waits; its time does not count.
            paused = time.monotonic()
            part = slice(rank, None, world)
            share = torch.tensor([accuracy(model, test_images[part], test_labels[part])])
            dist.all_reduce(share)
            reached = (share / world >= float(target)).float()
            spent += time.monotonic() - paused
    if rank == 0:
        print(json.dumps({"seconds": time.monotonic() - began - spent, "steps": step,
                          "reached": bool(reached.item())}))  # fmt: skip


if __name__ == "__main__":
    main()
