// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {DevToken} from "../../src/devnet/DevToken.sol";
import {IVipe} from "../../src/interfaces/IVipe.sol";
import {IVipeErrors} from "../../src/interfaces/IVipeErrors.sol";
import {BoundVerifier} from "../mocks/BoundVerifier.sol";
import {Check} from "./Check.sol";

/// @notice A deployed vault with one asset, two parties and a VIP, and what the parties can do.
/// @dev The vault is the checked-in artifact, the very bytes that are deployed; `build.mjs --check` ties it to the source.
/// Statements and EIP-712 digests are written out here a second time, on purpose.
abstract contract VipeTest is Check {
    uint256 internal constant P_KEY = 0xA11CE;
    uint256 internal constant H_KEY = 0xB0B;
    uint256 internal constant P_SESSION = 0x5E551;
    uint256 internal constant H_SESSION = 0x5E552;
    uint96 internal constant RATE = uint96(uint256(2) << 64) / 100; // 0.02 wei per base unit
    uint64 internal constant WINDOW = 1 days;
    uint64 internal constant EXTENSION = 1 hours;
    uint64 internal constant MAX_EXTENSION = 1 days;
    uint128 internal constant FEE_FLOOR = 0.02 ether;
    uint112 internal constant CAP_CHANNEL = 1e30;
    uint112 internal constant CAP_TOTAL = 3e30;
    uint64 internal constant START = 1_800_000_000;

    IVipe internal vipe;
    DevToken internal token;
    address internal verifier;
    address internal participant = vm.addr(P_KEY);
    address internal counterparty = vm.addr(H_KEY);
    address internal vip = address(0x0011_7070);
    address internal tower = address(0x70e3);
    address internal stranger = address(0xbad);
    uint256 private _salt;

    function setUp() public virtual {
        vm.warp(START);
        token = new DevToken("Development asset", "DEV", 18);
        verifier = address(new BoundVerifier());
        vipe = _deploy(_rules(), _caps(address(token)));
        _fund(participant);
        _fund(vip);
        vm.deal(participant, 1e40);
        vm.deal(counterparty, 1e40);
        vm.deal(tower, 1e40);
        vm.deal(stranger, 1e40);
    }

    // ------------------------------------------------------------------------------------------------ deployment

    function _rules() internal view returns (IVipe.Rules memory) {
        return IVipe.Rules({
            disputeWindow: WINDOW,
            responseExtension: EXTENSION,
            maxExtension: MAX_EXTENSION,
            feeFloor: FEE_FLOOR,
            feeGas: 10_000_000,
            towerBps: 5_000,
            slashBps: 10_000,
            verifier: verifier,
            verifierCodeHash: verifier.codehash
        });
    }

    function _caps(address asset) internal pure returns (IVipe.AssetCap[] memory caps) {
        caps = new IVipe.AssetCap[](1);
        caps[0] = IVipe.AssetCap({asset: asset, perChannel: CAP_CHANNEL, total: CAP_TOTAL});
    }

    /// @notice What creates the artifact.
    function _creation(IVipe.Rules memory given, IVipe.AssetCap[] memory caps) internal view returns (bytes memory) {
        return bytes.concat(vm.getCode("../artifacts/Vipe.json"), abi.encode(given, caps));
    }

    function _deploy(IVipe.Rules memory given, IVipe.AssetCap[] memory caps) internal returns (IVipe) {
        bytes memory code = _creation(given, caps);
        address deployed;
        assembly {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        isTrue(deployed != address(0), "the vault deploys");
        return IVipe(deployed);
    }

    function _fund(address account) internal {
        token.mint(account, 1e32);
        does(address(token), account, 0, abi.encodeCall(token.approve, (address(vipe), type(uint256).max)));
    }

    // ------------------------------------------------------------------------------------------------ opening

    function _key(uint256 seed) internal pure returns (bytes32) {
        return keccak256(abi.encode("dispute key", seed));
    }

    /// @notice A good request; a new dispute key each time.
    function _request(uint112 amount) internal returns (IVipe.OpenRequest memory r) {
        ++_salt;
        r.counterparty = counterparty;
        r.vip = vip;
        r.asset = address(token);
        r.participantKey = [uint64(1), 2, 3, 4, 5];
        r.counterpartyKey = [uint64(6), 7, 8, 9, 0xFFFFFFFF00000000];
        r.keysDigest = bytes32(uint256(0x1111111111111111_2222222222222222_3333333333333333_4444444444444444));
        r.participantSession = vm.addr(P_SESSION);
        r.counterpartySession = vm.addr(H_SESSION);
        r.disputeHash = keccak256(abi.encodePacked(_key(_salt)));
        r.salt = bytes32(_salt);
        r.rate = RATE;
        r.deposit = amount;
        r.acceptBy = uint64(block.timestamp) + 1 hours;
    }

    function _open(uint112 amount) internal returns (uint56) {
        return _open(_request(amount));
    }

    function _open(IVipe.OpenRequest memory r) internal returns (uint56) {
        return abi.decode(does(address(vipe), participant, 0, abi.encodeCall(vipe.open, (r))), (uint56));
    }

    function _typed(bytes32 structHash) internal view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("VRC Vipe"),
                keccak256("1"),
                block.chainid,
                address(vipe)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, structHash));
    }

    /// @notice The digest of the counterparty's consent to `r`, as channel `id` of `owner`.
    function _consentDigest(uint56 id, address owner, IVipe.OpenRequest memory r, uint112 allocation, uint64 deadline)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256(
            abi.encodePacked(
                "Accept(uint56 channelId,address participant,address counterparty,address vip,address asset,",
                "bytes32 keysDigest,bytes32 channelKeysHash,address participantSession,address counterpartySession,",
                "bytes32 disputeHash,bytes32 salt,uint96 rate,uint112 deposit,uint112 allocation,uint64 acceptBy,",
                "uint64 deadline)"
            )
        );
        bytes memory head = abi.encode(typeHash, id, owner, r.counterparty, r.vip, r.asset, r.keysDigest);
        bytes memory keys = abi.encode(
            keccak256(abi.encode(r.participantKey, r.counterpartyKey)), r.participantSession, r.counterpartySession
        );
        bytes memory rest = abi.encode(r.disputeHash, r.salt, r.rate, r.deposit, allocation, r.acceptBy, deadline);
        return _typed(keccak256(bytes.concat(head, keys, rest)));
    }

    function _sign65(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @notice Opens and accepts.
    function _live(uint112 amount, uint112 allocation) internal returns (uint56 id) {
        id = _live(_request(amount), allocation);
    }

    function _live(IVipe.OpenRequest memory r, uint112 allocation) internal returns (uint56 id) {
        id = _open(r);
        uint64 deadline = uint64(block.timestamp) + 60;
        bytes memory signature = _sign65(H_KEY, _consentDigest(id, participant, r, allocation, deadline));
        does(
            address(vipe),
            allocation == 0 ? stranger : vip,
            0,
            abi.encodeCall(vipe.accept, (id, allocation, deadline, signature))
        );
    }

    // ------------------------------------------------------------------------------------------------ states

    function _state(uint56 nonce, uint56 version, uint112 balance) internal pure returns (IVipe.StateClaim memory) {
        return IVipe.StateClaim({nonce: nonce, version: version, balance: balance});
    }

    function _stateDigest(uint56 id, IVipe.StateClaim memory s) internal view returns (bytes32) {
        bytes32 typeHash = keccak256("State(uint56 channelId,uint56 nonce,uint56 version,uint112 balance)");
        return _typed(keccak256(abi.encode(typeHash, id, s.nonce, s.version, s.balance)));
    }

    function _signatures(uint56 id, IVipe.StateClaim memory s)
        internal
        view
        returns (IVipe.SessionSignatures memory both)
    {
        bytes32 digest = _stateDigest(id, s);
        (both.participant.r, both.participant.vs) = vm.signCompact(P_SESSION, digest);
        (both.counterparty.r, both.counterparty.vs) = vm.signCompact(H_SESSION, digest);
    }

    function _noSignatures() internal pure returns (IVipe.SessionSignatures memory none) {}

    function _statement(uint56 id, IVipe.StateClaim memory s, address beneficiary)
        internal
        view
        returns (uint256[15] memory w)
    {
        uint256 d = uint256(keccak256(abi.encode("vrc5", block.chainid, address(vipe)))) >> 88;
        uint256 m = 2 ** 56;
        (w[0], w[1], w[2]) = (d % m, d / m % m, d / m / m);
        (w[3], w[4], w[5]) = (id, s.nonce, s.version);
        (w[6], w[7]) = (s.balance % m, s.balance / m);
        (w[8], w[9]) = (0x1111111111111111, 0x2222222222222222);
        (w[10], w[11]) = (0x3333333333333333, 0x4444444444444444);
        uint256 b = uint160(beneficiary);
        (w[12], w[13], w[14]) = (b % m, b / m % m, b / m / m);
    }

    function _proof(uint56 id, IVipe.StateClaim memory s, address beneficiary) internal view returns (bytes memory) {
        return abi.encodePacked(keccak256(abi.encode(_statement(id, s, beneficiary))));
    }

    // ------------------------------------------------------------------------------------------------ disputes

    function _bond(uint112 claim) internal pure returns (uint256) {
        return (uint256(claim) * RATE + 2 ** 64 - 1) / 2 ** 64;
    }

    /// @notice The dispute key of channel `id`, when every request of the test was opened in order.
    function _disputeCall(uint56 id, address by, IVipe.StateClaim memory s, uint112 claim)
        internal
        view
        returns (bytes memory)
    {
        bool proven = s.nonce > vipe.channel(id).checkpoint.nonce;
        return abi.encodeCall(
            vipe.dispute,
            (
                id,
                s,
                claim,
                _key(id),
                proven ? _signatures(id, s) : _noSignatures(),
                proven ? _proof(id, s, by) : bytes("")
            )
        );
    }

    function _dispute(uint56 id, address by, IVipe.StateClaim memory s, uint112 claim) internal {
        does(address(vipe), by, FEE_FLOOR + _bond(claim), _disputeCall(id, by, s, claim));
    }

    function _overrideCall(uint56 id, IVipe.StateClaim memory s, address beneficiary)
        internal
        view
        returns (bytes memory)
    {
        return abi.encodeCall(vipe.overrideState, (id, s, beneficiary, _signatures(id, s), _proof(id, s, beneficiary)));
    }

    function _override(uint56 id, address by, IVipe.StateClaim memory s, address beneficiary, uint256 value) internal {
        does(address(vipe), by, value, _overrideCall(id, s, beneficiary));
    }

    function _settle(uint56 id) internal {
        vm.warp(vipe.disputeOf(id).deadline);
        does(address(vipe), stranger, 0, abi.encodeCall(vipe.settle, (id)));
    }

    function _statusIs(uint56 id, IVipe.Status wanted) internal view {
        eq(uint256(vipe.channel(id).status), uint256(wanted), "status");
    }

    function _wrongStatus(uint56 id, IVipe.Status status) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IVipeErrors.WrongStatus.selector, id, status);
    }
}
