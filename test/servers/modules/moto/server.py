"""moto's server, whose KMS also signs digests.

moto 5.2 takes `MessageType: DIGEST` and hashes the digest once more, which AWS KMS
does not (AWS KMS API Reference, Sign). This replaces the two signing functions by
ones that look at the message type; everything else is moto's own.
"""

from contextvars import ContextVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from moto.kms import responses, utils
from moto.server import main

is_digest: ContextVar[bool] = ContextVar("is_digest", default=False)
algorithms = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def remember_message_type(plain):
    def sign(self):
        token = is_digest.set(self._get_param("MessageType") == "DIGEST")
        try:
            return plain(self)
        finally:
            is_digest.reset(token)

    return sign


def sign_digests(plain, arguments):
    def sign(self, message, signing_algorithm):
        if not is_digest.get():
            return plain(self, message, signing_algorithm)
        prehashed = Prehashed(algorithms[signing_algorithm[-3:]])
        return self.private_key.sign(message, *arguments(signing_algorithm, prehashed))

    return sign


def rsa_arguments(signing_algorithm, prehashed):
    if not signing_algorithm.startswith("RSASSA_PKCS1_V1_5_"):
        raise NotImplementedError(signing_algorithm)
    return (padding.PKCS1v15(), prehashed)


responses.KmsResponse.sign = remember_message_type(responses.KmsResponse.sign)
utils.ECDSAPrivateKey.sign = sign_digests(
    utils.ECDSAPrivateKey.sign, lambda _, prehashed: (ec.ECDSA(prehashed),)
)
utils.RSAPrivateKey.sign = sign_digests(utils.RSAPrivateKey.sign, rsa_arguments)

if __name__ == "__main__":
    main()
