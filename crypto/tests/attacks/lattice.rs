//! Attack (4): a lab draws x and k short, for speed, in a group whose order is long. One signature then gives x. Ours
//! fill [1, q-1]. `vectors/lattice.py` does the same with more sizes.

use num_bigint::{BigInt, BigUint, Sign};
use rand_chacha::rand_core::Rng;
use vitalward_crypto::elgamal::{SigningKey, params};

use super::{ALL, Group, ROLE, fixed::Fixed, key, number, one, pair, private, rng, scalar};

/// The shortest (x, k) that solves k s + x r = h modulo the order: the true one, if both are short.
fn shortest_x(group: &Group, h: &BigUint, (r, s): &(BigUint, BigUint)) -> BigUint {
    let order = BigInt::from(group.q.clone());
    let inverse = s.modinv(&group.q).unwrap();
    let solution = [BigInt::ZERO, (h * &inverse % &group.q).into()];
    let mut u = [BigInt::ZERO, order.clone()];
    let mut v = [BigInt::from(1), -BigInt::from(r * inverse % &group.q)];
    // Gauss: u and v become the shortest vectors of the solutions of k s + x r = 0.
    while dot(&u, &u) > dot(&v, &v) {
        std::mem::swap(&mut u, &mut v);
        let times = nearest(&dot(&u, &v), &dot(&u, &u));
        v = minus(&v, &times, &u);
    }
    let determinant = &u[0] * &v[1] - &u[1] * &v[0];
    let a = nearest(&(&solution[0] * &v[1] - &solution[1] * &v[0]), &determinant);
    let b = nearest(&(&u[0] * &solution[1] - &u[1] * &solution[0]), &determinant);
    let [x, _] = minus(&minus(&solution, &a, &u), &b, &v);
    (((x % &order) + &order) % &order).to_biguint().unwrap()
}

fn dot(a: &[BigInt; 2], b: &[BigInt; 2]) -> BigInt {
    &a[0] * &b[0] + &a[1] * &b[1]
}

fn minus(a: &[BigInt; 2], times: &BigInt, b: &[BigInt; 2]) -> [BigInt; 2] {
    [&a[0] - times * &b[0], &a[1] - times * &b[1]]
}

/// The integer nearest to a quotient.
fn nearest(numerator: &BigInt, denominator: &BigInt) -> BigInt {
    let negative = (numerator.sign() == Sign::Minus) != (denominator.sign() == Sign::Minus);
    let (n, d) = (numerator.magnitude(), denominator.magnitude());
    let rounded = BigInt::from((n * 2u32 + d) / (d * 2u32));
    if negative { -rounded } else { rounded }
}

fn draw(bits: usize, rng: &mut impl Rng) -> BigUint {
    let mut bytes = vec![0; bits / 8];
    rng.fill_bytes(&mut bytes);
    BigUint::from_bytes_be(&bytes)
}

#[test]
fn attack_4_one_signature_with_short_x_and_k_gives_x() {
    let mut rng = rng();
    let mut works = |group: &Group, x_bits, k_bits| {
        let (x, k) = (draw(x_bits, &mut rng), draw(k_bits, &mut rng));
        let signature = ALL.sign(group, &x, b"message", &k);
        let h = ALL.hash(group, &group.g.modpow(&x, &group.p), &signature.0, b"message");
        shortest_x(group, &h, &signature) == x
    };
    // No other defence matters: these signatures have them all.
    for bits in [160, 256, 1_024, 1_520] {
        assert!(works(&Group::safe_prime(), bits, bits), "{bits}");
    }
    assert!(works(&Group::ours(), 120, 120), "short ones would be as bad in our group");
    for (x_bits, k_bits) in [(3_064, 256), (256, 3_064), (3_064, 3_064)] {
        assert!(!works(&Group::safe_prime(), x_bits, k_bits), "either one of full size stops it");
    }
    assert!(!works(&Group::ours(), 248, 248));

    let (group, key) = (Group::ours(), key());
    let y = BigUint::from_bytes_be(&key.verifying_key().to_bytes());
    for n in 0..16 {
        let signature = pair(&key.sign(ROLE, b"", &[n], &mut rng));
        let h = ALL.hash(&group, &y, &signature.0, &[n]);
        assert_ne!(shortest_x(&group, &h, &signature), private(&key));
    }
}

#[test]
fn attack_4_x_and_k_fill_the_range() {
    const DRAWS: usize = 512;
    let (group, mut rng) = (Group::ours(), rng());
    let (mut keys, mut nonces) = ([0; 8], [0; 8]);
    let eighth = |value: &BigUint| usize::try_from(value * 8u32 / &group.q).unwrap();
    for _ in 0..DRAWS {
        let key = SigningKey::generate(&mut rng);
        let (x, y) = (private(&key), BigUint::from_bytes_be(&key.verifying_key().to_bytes()));
        let (r, s) = pair(&key.sign(ROLE, b"", b"message", &mut rng));
        let h = ALL.hash(&group, &y, &r, b"message");
        let k = (h + &group.q - &x * &r % &group.q) * s.modinv(&group.q).unwrap() % &group.q;
        keys[eighth(&x)] += 1;
        nonces[eighth(&k)] += 1;
    }
    // Each eighth of [1, q-1] gets its share: chi squared with 7 degrees of freedom is below 24.3 but once in a
    // thousand. 256 bits reduced modulo q would give about 70, numbers one bit short about 250.
    let expected = DRAWS / 8;
    for counted in [keys, nonces] {
        let squares: usize = counted.iter().map(|n| usize::abs_diff(*n, expected).pow(2)).sum();
        assert!(squares * 10 < 243 * expected, "{counted:?}");
    }
}

/// A generator that gives the bounds: they are reached, and what lies beyond is drawn again, not reduced.
#[test]
fn attack_4_private_keys_are_drawn_up_to_their_bounds() {
    let q = number(params::Q);
    for bound in [one(), &q - 1u32] {
        let beyond = [BigUint::ZERO, q.clone(), &q + 1u32, (one() << 256) - 1u32];
        let drawn = beyond.iter().chain([&bound]).flat_map(scalar).collect::<Vec<_>>();
        let mut generator = Fixed(&drawn);
        assert_eq!(private(&SigningKey::generate(&mut generator)), bound);
        assert!(generator.0.is_empty());
    }
}
