#!/usr/bin/env python3
"""Encrypts what comes in and hands it on in the clear, for servers that have no TLS of their own.

usage: tls_front.py PORT TARGET_PORT CERTIFICATE KEY [AUTHORITY]

With an authority, clients need a certificate that it signed.
"""
import select
import socket
import ssl
import sys
import threading


def hand_on(one, other):
    """Both ways, in one thread: TLS of Python is not for two."""
    while True:
        readable = [one] if one.pending() else select.select([one, other], [], [])[0]
        for source in readable:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


def serve(context, client, target):
    with context.wrap_socket(client, server_side=True, do_handshake_on_connect=False) as secure:
        try:
            secure.do_handshake()
        except OSError:
            # What the client has sent meanwhile is read, so that it gets to see why.
            try:
                secure.settimeout(2)
                secure.shutdown(socket.SHUT_WR)
                while secure.recv(65536):
                    pass
            except OSError:
                pass
            return
        with socket.create_connection(("127.0.0.1", target)) as there:
            try:
                hand_on(secure, there)
            except OSError:
                pass


def main(port, target, certificate, key, authority=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if authority:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    server = socket.create_server(("127.0.0.1", int(port)))
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(context, client, int(target)), daemon=True).start()


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    main(*sys.argv[1:])
