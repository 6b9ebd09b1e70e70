//! The two groups' numbers, in hexadecimal, and where each comes from, so that anyone can make them again.
//!
//! The signature group is ours: FIPS 186-4 A.1.1.2 with SHA-256, L = 3072, N = 256, from a seed with nothing up
//! its sleeve: for i = 0, 1, .. the seed is [`sha256`](crate::sha256)`("elgamal/group", [SENTENCE, be32(i)])`;
//! the first i whose q is prime and whose 4L counters hold a prime p is [`ROUND`]. Then g by A.2.3 with index 1.
//! FIPS 186-4 is withdrawn; DSA's group is the lab protocol's, and is kept on purpose. `tests/groups.rs`
//! checks every number at the given round and counter, and derives them anew from the sentence.
//!
//! The KEM's group is RFC 7919's.

/// The sentence that every seed is hashed from.
pub const SENTENCE: &str =
    "Vitalward carries a doctor's alert to the people who wait for it, and brings their answer back.";

/// The round i that gave the group.
pub const ROUND: u32 = 155;

/// `domain_parameter_seed` of that round.
pub const SEED: &str = "df360b8d8adfd88c428270ad2f74b8859e2fbac02d454c195c830088f32e2e76";

/// The counter at which p was found, of 4L = 12 288.
pub const COUNTER: u32 = 583;

/// The prime of 3072 bits.
pub const P: &str = "\
    d8909c9951f6835aaae52776c54cc3bcbb606f9ce198687f698298706e9566814ff06d8fc08188e0e67fa6c3a674f977\
    caba09b7d85620f835f7726d01e24140ca111b24aa08b25681843758d34070ddd851d6ff509f2ecf74e80fdfe067c89e\
    fe793f1ad9322c5e54b8e1877e82e1c29d535874877ae734ee8725c8b2a2ffd47561894637a21db86e43b7aedd4fd84c\
    4ed1cece17b539f419e4f3a60916885db16c9904953aac922a52d9a69f4553a6c03832fdf414b995d0533814a28a31a3\
    32dc3a6192280a46655f4185d8daf891312c08d8ef76d0e025761bd3707e4519424ebf94ce688d79bb238d28b53e1125\
    116e80adf686465c17d9e0819972788b885eb1459bcf3495018a716a27bb9dbbc01bdb99e8910dc36ceb640c8d73764b\
    188a6fca32045f31015335a4c8ce90ec746c212215de9a3094b4540c543616d0bf5c5ef7aafa6e3f30349ca86522c8b2\
    09c473043b24cb0a632f1fd8f94614ed35bc3d81cbbdcbd9349946d8c26a60c2ea02a7255fd42625010e2525fd940653";

/// The prime order of 256 bits; it divides p - 1.
pub const Q: &str = "\
    be7b8ca82c57900510576c19894ee660d3a19a21d963440ba3f0a1d67036e6c9";

/// The generator of the subgroup of order q.
pub const G: &str = "\
    d782b7497e85a3260b257bd5f147dd5f40b8d3ea50bee65e879e9624656b85b834022a498d3cc617a65457936cd8239e\
    13c1ae12bbbcfa7b3011621a0c9926f5c84b436529ac91963f273b3188db4065ddf6a6d56dd6ad5f724326548c2a7684\
    be8b2e6012dd314882da9abffc0557b8f7bdf34b6d248fecf5416193716442fe9c1de9f8faa9303fa7517295a3185dbf\
    1c547575dd96100964eab193f2653d1f8f4e2134290320d91b80f10bdbaa68ed6b816e4cc8d2e60d52157c48d6a952e9\
    51a330b1c9744644910dc000bbbc42ba204978bf2fc8e4f090b3a420cecc0d530d68162f52eeae975958ee27f1ce9fe4\
    223f3d5afa9151ba9047ea6c273c4e0a8f15c72deb514bbcabee07f1df2e000f81c63e36eb488b2c3c9e5aa1a648bc75\
    4ee8a2d1138bf1b3bae5f797e5c3072fafce265b6fa15704d43689453d06fb66a61a1ec5c13cfde1c5ea03ca6ea043d5\
    0d56099af0f87d6f6fd8bb07aba978a4fe3e0c162a4e84c02ba3cf30a1583f1d410721caf6421624a9588b167a9c7b28";

/// The safe prime 2^3072 - 2^3008 + (floor(2^2942 e) + 2625351) 2^64 - 1 (RFC 7919, A.2). Its generator is 2.
pub const FFDHE3072: &str = "\
    ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1d8b9c583ce2d3695a9e13641146433fbcc939dce249b3ef9\
    7d2fe363630c75d8f681b202aec4617ad3df1ed5d5fd65612433f51f5f066ed0856365553ded1af3b557135e7f57c935\
    984f0c70e0e68b77e2a689daf3efe8721df158a136ade73530acca4f483a797abc0ab182b324fb61d108a94bb2c8e3fb\
    b96adab760d7f4681d4f42a3de394df4ae56ede76372bb190b07a7c8ee0a6d709e02fce1cdf7e2ecc03404cd28342f61\
    9172fe9ce98583ff8e4f1232eef28183c3fe3b1b4c6fad733bb5fcbc2ec22005c58ef1837d1683b2c6f34a26c1b2effa\
    886b4238611fcfdcde355b3b6519035bbc34f4def99c023861b46fc9d6e6c9077ad91d2691f7f7ee598cb0fac186d91c\
    aefe130985139270b4130c93bc437944f4fd4452e2d74dd364f2e21e71f54bff5cae82ab9c9df69ee86d2bc522363a0d\
    abc521979b0deada1dbf9a42d5c4484e0abcd06bfa53ddef3c1b20ee3fd59d7c25e41d2b66c62e37ffffffffffffffff";
