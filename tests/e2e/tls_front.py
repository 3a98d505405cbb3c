#!/usr/bin/env python3
"""Encrypts what comes in and hands it on in the clear, for servers that have no TLS of their own.

usage: tls_front.py PORT TARGET_PORT CERTIFICATE KEY
"""
import asyncio
import ssl
import sys


async def hand_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(port, target, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader, writer):
        there, to_there = await asyncio.open_connection("127.0.0.1", int(target))
        await asyncio.gather(hand_on(reader, to_there), hand_on(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", int(port), ssl=context)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
