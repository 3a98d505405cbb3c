"""The bucket of the S3 test, on a moto server: make ENDPOINT (prints key and secret of a user who may use it) | list ENDPOINT KEY SECRET |
put or delete ENDPOINT KEY SECRET NAME... (objects that are no segments) | begin ENDPOINT KEY SECRET NAME... (uploads that are never finished) |
uploads ENDPOINT KEY SECRET.

moto checks signatures and permissions once INITIAL_NO_AUTH_ACTION_COUNT requests have been made: `make` makes that many.
"""
import json
import sys

import boto3
from botocore.config import Config

BUCKET = "weir-test"


def client(service, endpoint, key="none", secret="none"):
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret, config=config
    )


def make(endpoint):
    iam = client("iam", endpoint)
    iam.create_user(UserName="weir")
    key = iam.create_access_key(UserName="weir")["AccessKey"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="weir", PolicyName="all", PolicyDocument=json.dumps(policy))
    client("s3", endpoint).create_bucket(Bucket=BUCKET)
    print(key["AccessKeyId"], key["SecretAccessKey"])


def list_objects(endpoint, key, secret):
    for page in client("s3", endpoint, key, secret).get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", []):
            print(item["Key"], item["Size"])


if sys.argv[1] == "make":
    make(sys.argv[2])
elif sys.argv[1] == "put":
    for name in sys.argv[5:]:
        client("s3", *sys.argv[2:5]).put_object(Bucket=BUCKET, Key=name, Body=b"left")
elif sys.argv[1] == "begin":
    for name in sys.argv[5:]:
        s3 = client("s3", *sys.argv[2:5])
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key=name)["UploadId"]
        s3.upload_part(Bucket=BUCKET, Key=name, UploadId=upload, PartNumber=1, Body=b"left")
elif sys.argv[1] == "uploads":
    for item in client("s3", *sys.argv[2:5]).list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        print(item["Key"])
elif sys.argv[1] == "delete":
    for name in sys.argv[5:]:
        client("s3", *sys.argv[2:5]).delete_object(Bucket=BUCKET, Key=name)
else:
    list_objects(*sys.argv[2:5])
