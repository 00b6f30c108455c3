//! The circuit's data on disk, by its digest.
//!
//! ```text
//! magic (8) | format version (4, big endian) | circuit digest (28) | keccak256 of the payload (32) | payload
//! payload = verifier's data, then the prover's data without its commitment (both as Plonky2 serializes them), each preceded by
//!           its length (8, big endian)
//! ```
//!
//! A file has some hundred kilobytes and loads in milliseconds; the prover's 2^17-leaf commitment is made anew by the first
//! proof, which checks it (see [`crate::zksc::LiveStateCircuit`]).
//!
//! **Invariant:** what was loaded is, byte for byte, what this program would store (`PAYLOAD_HASH`), or it was refused: nothing
//! in a file is believed, not even its own digest.
//! **Invariant:** a file is either whole or not there: it is written beside its place, flushed and renamed.

mod serializer;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{B256, b256, hex, keccak256};
use plonky2::fri::oracle::PolynomialBatch;
use plonky2::hash::merkle_tree::MerkleTree;
use plonky2::iop::generator::WitnessGeneratorRef;
use plonky2::plonk::circuit_data::{CommonCircuitData, ProverOnlyCircuitData};
use plonky2::util::serialization::{Buffer, IoResult, WitnessGeneratorSerializer};

use self::serializer::Kinds;
use crate::config::{D, DIGEST_BYTES, F, KeccakDigest};
use crate::error::ArtifactError;
use crate::zksc::{CIRCUIT_DIGEST, LiveStateCircuit, ProverData, VerifierData};

/// The version of the file format, and of everything serialized in it.
pub const FORMAT_VERSION: u32 = 1;

/// Keccak-256 of the payload of this program's circuit. Building and serializing are deterministic, so there is one. It changes
/// together with [`CIRCUIT_DIGEST`], with the serialized form, and with nothing else; a test says the new value.
const PAYLOAD_HASH: B256 =
    b256!("0x5f21a8fd3d7f40b26aea249d5270b1a13362f8763e2458d346c7a0cf74fe98de");

const MAGIC: [u8; 8] = *b"vrc-circ";
const VERSION_AT: usize = MAGIC.len();
const DIGEST_AT: usize = VERSION_AT + 4;
const CHECKSUM_AT: usize = DIGEST_AT + DIGEST_BYTES;
const PAYLOAD_AT: usize = CHECKSUM_AT + 32;

/// The largest file that is read: twenty times what a circuit of 2^7 rows takes.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The file of this program's live-state circuit in `directory`.
#[must_use]
pub fn path_in(directory: &Path) -> PathBuf {
    directory.join(format!("live-state-{}.bin", hex::encode(CIRCUIT_DIGEST.0)))
}

/// Loads the circuit from `directory`, or builds and stores it where there is none.
///
/// # Errors
/// [`ArtifactError`]. A file that is there and does not fit is an error, never a reason to build silently.
pub fn load_or_build(directory: &Path) -> Result<LiveStateCircuit, ArtifactError> {
    match load(directory) {
        Err(ArtifactError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            let circuit = LiveStateCircuit::build()?;
            store(&circuit, directory)?;
            Ok(circuit)
        }
        other => other,
    }
}

/// How many such files this process began to write.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes the circuit's file into `directory`, which is created if need be. Any number may do so at once: the file is one of
/// theirs, whole, and they are all the same.
///
/// # Errors
/// [`ArtifactError::Io`], [`ArtifactError::Serialize`], or that the prover's data cannot be completed.
pub fn store(circuit: &LiveStateCircuit, directory: &Path) -> Result<PathBuf, ArtifactError> {
    let bytes = encode(circuit)?;
    let path = path_in(directory);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ArtifactError::Io { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    // Never two writers of one name: others may write the same file, also in this process (a tower and the node inside it).
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let beside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    if let Err(source) = written.and_then(|()| fs::rename(&beside, &path)) {
        // What is left over is in nobody's way; the first error is the one to report.
        let _ = fs::remove_file(&beside);
        return Err(ArtifactError::Io { path, source });
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed(directory))?;
    Ok(path)
}

/// Reads the circuit's file in `directory`.
///
/// # Errors
/// [`ArtifactError`]: nothing is accepted but the file of this program's circuit, whole and unchanged.
pub fn load(directory: &Path) -> Result<LiveStateCircuit, ArtifactError> {
    let path = path_in(directory);
    let failed = |source| ArtifactError::Io { path: path.clone(), source };
    let length = fs::metadata(&path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(ArtifactError::Damaged { path, what: "it is far too long" });
    }
    let bytes = fs::read(&path).map_err(failed)?;
    decode(&bytes, &path)
}

fn encode(circuit: &LiveStateCircuit) -> Result<Vec<u8>, ArtifactError> {
    let verifier = circuit.verifier_data();
    let complete = circuit.prover_data()?;
    let prover =
        without_commitment(&complete, &verifier.common).map_err(|_io| ArtifactError::Serialize)?;
    let parts = [verifier.to_bytes(&Kinds), prover.to_bytes(&Kinds, &verifier.common)];
    let mut payload = Vec::new();
    for part in parts {
        let part = part.map_err(|_io| ArtifactError::Serialize)?;
        payload.extend((part.len() as u64).to_be_bytes());
        payload.extend(part);
    }
    let found = keccak256(&payload);
    if found != PAYLOAD_HASH {
        return Err(ArtifactError::SerializedAnother { expected: PAYLOAD_HASH, found });
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_be_bytes());
    bytes.extend(verifier.verifier_only.circuit_digest.0);
    bytes.extend(found);
    bytes.extend(payload);
    Ok(bytes)
}

fn decode(bytes: &[u8], path: &Path) -> Result<LiveStateCircuit, ArtifactError> {
    let path = || path.to_owned();
    let damaged = |what| ArtifactError::Damaged { path: path(), what };
    let Some((header, payload)) =
        bytes.split_at_checked(PAYLOAD_AT).filter(|_| bytes.starts_with(&MAGIC))
    else {
        return Err(ArtifactError::NotAnArtifact { path: path() });
    };
    let mut version = [0; 4];
    version.copy_from_slice(&header[VERSION_AT..DIGEST_AT]);
    let found = u32::from_be_bytes(version);
    if found != FORMAT_VERSION {
        return Err(ArtifactError::Version { path: path(), expected: FORMAT_VERSION, found });
    }
    let mut found = KeccakDigest([0; DIGEST_BYTES]);
    found.0.copy_from_slice(&header[DIGEST_AT..CHECKSUM_AT]);
    if found != CIRCUIT_DIGEST {
        return Err(ArtifactError::Digest { path: path(), expected: CIRCUIT_DIGEST, found });
    }
    let found = keccak256(payload);
    if found != header[CHECKSUM_AT..] {
        return Err(damaged("its checksum is wrong"));
    }
    if found != PAYLOAD_HASH {
        return Err(damaged("it is whole, but not what this program stores"));
    }
    read(payload, &damaged)
}

/// Reads a payload, whatever it is of.
fn read(
    payload: &[u8],
    damaged: &dyn Fn(&'static str) -> ArtifactError,
) -> Result<LiveStateCircuit, ArtifactError> {
    let (verifier, rest) = part(payload).ok_or_else(|| damaged("it ends early"))?;
    let (prover, rest) = part(rest).ok_or_else(|| damaged("it ends early"))?;
    if !rest.is_empty() {
        return Err(damaged("something follows its end"));
    }
    let verifier = VerifierData::from_bytes(verifier.to_vec(), &Kinds)
        .map_err(|_io| damaged("the verifier's data cannot be read"))?;
    let prover: ProverData = ProverOnlyCircuitData::from_bytes(prover, &Kinds, &verifier.common)
        .map_err(|_io| damaged("the prover's data cannot be read"))?;
    Ok(LiveStateCircuit::from_parts(verifier, prover))
}

/// `data` without what the circuit makes anew after loading.
fn without_commitment(data: &ProverData, common: &CommonCircuitData<F, D>) -> IoResult<ProverData> {
    let commitment = &data.constants_sigmas_commitment;
    // Plonky2's generators cannot be cloned, but they can be written and read.
    let copied = |generator: &WitnessGeneratorRef<F, D>| {
        let mut bytes = Vec::new();
        Kinds.write_generator(&mut bytes, generator, common)?;
        Kinds.read_generator(&mut Buffer::new(&bytes), common)
    };
    Ok(ProverData {
        generators: data.generators.iter().map(copied).collect::<IoResult<_>>()?,
        generator_indices_by_watches: data.generator_indices_by_watches.clone(),
        constants_sigmas_commitment: PolynomialBatch {
            polynomials: commitment.polynomials.clone(),
            merkle_tree: MerkleTree {
                leaves: Vec::new(),
                digests: Vec::new(),
                cap: commitment.merkle_tree.cap.clone(),
            },
            degree_log: commitment.degree_log,
            rate_bits: commitment.rate_bits,
            blinding: commitment.blinding,
        },
        sigmas: data.sigmas.clone(),
        subgroup: data.subgroup.clone(),
        public_inputs: data.public_inputs.clone(),
        representative_map: data.representative_map.clone(),
        fft_root_table: None,
        circuit_digest: data.circuit_digest,
        lookup_rows: data.lookup_rows.clone(),
        lut_to_lookups: data.lut_to_lookups.clone(),
    })
}

/// The first part of `bytes`, and the rest.
fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use plonky2::field::types::Field;

    use super::*;

    /// One test, so that the circuit is built once.
    #[test]
    fn a_circuit_survives_its_file_and_every_damaged_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(load(directory.path()), Err(ArtifactError::Io { .. })));
        let built = load_or_build(directory.path()).unwrap();
        let path = path_in(directory.path());
        let bytes = fs::read(&path).unwrap();
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no temporary file is left over"
        );

        for _ in 0..20 {
            std::thread::scope(|scope| {
                let writers: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| store(&built, directory.path()))).collect();
                writers
                    .into_iter()
                    .for_each(|writer| assert_eq!(writer.join().unwrap().unwrap(), path));
            });
        }
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);

        let loaded = load(directory.path()).unwrap();
        assert_eq!(loaded.verifier_data(), built.verifier_data());
        loaded.complete().unwrap();
        assert_eq!(loaded.prover_data().unwrap(), built.prover_data().unwrap());
        assert_eq!(encode(&loaded).unwrap(), bytes);

        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = bytes.clone();
            change(&mut bytes);
            decode(&bytes, &path).unwrap_err()
        };
        assert!(matches!(refused(&|bytes| bytes.clear()), ArtifactError::NotAnArtifact { .. }));
        assert!(matches!(
            refused(&|bytes| bytes.truncate(PAYLOAD_AT - 1)),
            ArtifactError::NotAnArtifact { .. }
        ));
        assert!(matches!(refused(&|bytes| bytes[0] ^= 1), ArtifactError::NotAnArtifact { .. }));
        assert!(matches!(
            refused(&|bytes| bytes[DIGEST_AT - 1] ^= 3),
            ArtifactError::Version { found: 2, .. }
        ));
        assert!(matches!(refused(&|bytes| bytes[DIGEST_AT] ^= 1), ArtifactError::Digest { .. }));
        assert!(matches!(refused(&|bytes| bytes[CHECKSUM_AT] ^= 1), ArtifactError::Damaged { .. }));
        assert!(matches!(refused(&|bytes| bytes.push(0)), ArtifactError::Damaged { .. }));
        assert!(matches!(
            refused(&|bytes| bytes.truncate(bytes.len() - 1)),
            ArtifactError::Damaged { .. }
        ));
        for position in (PAYLOAD_AT..bytes.len()).step_by(bytes.len() / 97) {
            assert!(
                matches!(refused(&|bytes| bytes[position] ^= 0x40), ArtifactError::Damaged { .. }),
                "{position}"
            );
        }
        // Whoever repairs the checksum as well still cannot change what is loaded, nor what the prover commits to.
        let forged = with_another_polynomial(&built);
        let file = [&bytes[..CHECKSUM_AT], keccak256(&forged).as_slice(), &forged].concat();
        assert!(matches!(decode(&file, &path), Err(ArtifactError::Damaged { .. })));
        let forged = read(&forged, &|what| panic!("{what}")).unwrap();
        assert!(matches!(forged.complete(), Err(ArtifactError::Commitment)));
        assert!(matches!(forged.complete(), Err(ArtifactError::Commitment)));

        // A file that does not fit is reported, not replaced.
        fs::write(&path, b"something else").unwrap();
        assert!(matches!(
            load_or_build(directory.path()),
            Err(ArtifactError::NotAnArtifact { .. })
        ));
    }

    /// A payload that differs in one coefficient.
    fn with_another_polynomial(built: &LiveStateCircuit) -> Vec<u8> {
        let mut prover = without_commitment(&built.prover_data().unwrap(), built.common()).unwrap();
        prover.constants_sigmas_commitment.polynomials[0].coeffs[0] += F::TWO;
        let parts = [
            built.verifier_data().to_bytes(&Kinds).unwrap(),
            prover.to_bytes(&Kinds, built.common()).unwrap(),
        ];
        parts.map(|part| [(part.len() as u64).to_be_bytes().to_vec(), part].concat()).concat()
    }
}
