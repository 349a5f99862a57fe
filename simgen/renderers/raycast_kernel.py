"""The ray caster's compiled inner loops: pictures of analytic primitives, row by row.

Everything happens in the camera's frame, where the ray of a pixel is (dx, dy, -1) and its
parameter is the planar depth. A row is traced in chunks of 16 lanes. All lane variables live in one
scratch array `s` (chunk, field * 16 + lane), because LLVM proves that constant offsets from one
pointer do not overlap, and only then turns the loops over 16 lanes into SIMD. Only + - * / sqrt and
floor are used, in float32 and without fastmath, so that the same bytes come out whatever
the vector width and the number of threads.

All compiled code stands in this one file although it is long: numba's disk cache looks at the
modification time of the caller's file only, and would keep running an old callee from another one.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

LANES = 16
# Fields of a lane: ray, depth, geom row, face of the geom, normal, colour, light.
DX, DY, T, ID, FACE, NX, NY, NZ, R, G, B, LIT = range(0, 12 * LANES, LANES)
SCRATCH = 12 * LANES

# A geom's parameters in one frame (columns of `geoms`): camera-to-local matrix, eye and light in
# the local frame, half extents, tones, centre and pattern axis in the camera's frame, the pattern's
# scale, gloss.
MATRIX, EYE, SIZE, LIGHT, TONE, OTHER, CENTRE, AXIS, SCALE = 0, 9, 12, 15, 18, 21, 24, 27, 30
GLOSS, GEOM_COLUMNS = 31, 32
# A frame's parameters: fx fy cx cy, light and up in the camera's frame, sky, ambient, intensity.
HORIZON, ZENITH, AMBIENT, INTENSITY, VIEW_COLUMNS = 10, 13, 16, 17, 18

NEAR = np.float32(0.01)
FAR = np.float32(1000.0)
FOG = np.float32(60.0 * 60.0)
ZERO, HALF, ONE, TWO = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(2.0)
TINY = np.float32(1e-9)
SKY_SHADE, BASE_SHADE = np.float32(0.2), np.float32(0.8)
FULL = np.float32(255.0)
PLANE, SPHERE, ELLIPSOID, CAPSULE, CYLINDER, BOX = range(6)
TWO_TONE, CHECKER, STRIPES, GRAIN = 1, 2, 3, 4
NO_LABELS, ONE_LABEL = np.uint64(0), np.uint64(1)

LEAST = np.float32(1e-3)  # of a footprint, and of a surface's turn to the eye
# Grain: multipliers of the grid's hash (the last step is MurmurHash3's), flecks are 4 times as long
# as wide; noise of two octaves, stretched so that both tones show
HASH_X, HASH_Y, HASH_Z = np.uint32(0x8DA6B343), np.uint32(0xD8163841), np.uint32(0xCB1AB31F)
HASH_MIX, HASH_SHIFT, HASH_DROP = np.uint32(0x85EBCA6B), np.uint32(15), np.uint32(8)
HASH_UNIT, ONE_STEP = np.float32(1 / 2**24), np.uint32(1)
THREE, FOUR, FLECK_RATIO = np.float32(3.0), np.float32(4.0), np.float32(4.0)
COARSE_SHARE, FINE_SHARE = np.float32(1.1), np.float32(0.8)
BROAD_SHINE, NARROW_SHINE = np.float32(0.35), np.float32(0.8)

# sRGB (IEC 61966-2-1) above its linear foot, as a polynomial in sqrt(x): a weighted least squares
# fit within 0.11 of the 255 steps
S0, S1, S2 = np.float32(-0.040096), np.float32(1.515079), np.float32(-1.370467)
S3, S4, S5 = np.float32(1.924404), np.float32(-1.487595), np.float32(0.458822)
FOOT, FOOT_SLOPE = np.float32(0.0031308), np.float32(12.92)

# Edges of a box with corners in binary order, of the second box behind it, and between the two
BOX_EDGES = 12
NARROW_PX = 3 * LANES  # rows of a narrower box are hardly fewer chunks than its rectangle
_BOX = [(a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit]
HULL_EDGES = np.array(
    _BOX + [(a + 8, b + 8) for a, b in _BOX] + [(a, a + 8) for a in range(8)], np.int32
)

jit = njit(cache=True, nogil=True, error_model="numpy")


@jit
def _plane(s, first, last, p, g):
    m20, m21, m22, oz = p[6], p[7], p[8], p[11]
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            lz = m20 * v[i + DX] + m21 * v[i + DY] - m22
            t = -oz / lz
            hit = (lz < ZERO) & (t > NEAR) & (t < v[i + T])
            v[i + T] = t if hit else v[i + T]
            v[i + ID] = g if hit else v[i + ID]
            v[i + FACE] = ZERO if hit else v[i + FACE]
            v[i + NX] = m20 if hit else v[i + NX]
            v[i + NY] = m21 if hit else v[i + NY]
            v[i + NZ] = m22 if hit else v[i + NZ]


@jit
def _ellipsoid(s, first, last, p, g):
    """Also the sphere: the unit sphere in a frame that is scaled by the half extents."""
    ax, ay, az = ONE / p[12], ONE / p[13], ONE / p[14]
    m00, m01, m02 = p[0] * ax, p[1] * ax, p[2] * ax
    m10, m11, m12 = p[3] * ay, p[4] * ay, p[5] * ay
    m20, m21, m22 = p[6] * az, p[7] * az, p[8] * az
    ox, oy, oz = p[9] * ax, p[10] * ay, p[11] * az
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            dx, dy = v[i + DX], v[i + DY]
            lx = m00 * dx + m01 * dy - m02
            ly = m10 * dx + m11 * dy - m12
            lz = m20 * dx + m21 * dy - m22
            inverse = ONE / (lx * lx + ly * ly + lz * lz)
            middle = -(ox * lx + oy * ly + oz * lz) * inverse
            # the ray's nearest point to the centre: no cancellation for far, small spheres
            qx, qy, qz = ox + middle * lx, oy + middle * ly, oz + middle * lz
            inside = ONE - (qx * qx + qy * qy + qz * qz)
            t = middle - math.sqrt((inside if inside > ZERO else ZERO) * inverse)
            hit = (inside > ZERO) & (t > NEAR) & (t < v[i + T])
            ux, uy, uz = ox + t * lx, oy + t * ly, oz + t * lz
            nx = m00 * ux + m10 * uy + m20 * uz
            ny = m01 * ux + m11 * uy + m21 * uz
            nz = m02 * ux + m12 * uy + m22 * uz
            unit = ONE / math.sqrt(nx * nx + ny * ny + nz * nz)
            v[i + T] = t if hit else v[i + T]
            v[i + ID] = g if hit else v[i + ID]
            v[i + FACE] = ZERO if hit else v[i + FACE]
            v[i + NX] = nx * unit if hit else v[i + NX]
            v[i + NY] = ny * unit if hit else v[i + NY]
            v[i + NZ] = nz * unit if hit else v[i + NZ]


@jit
def _capsule(s, first, last, p, g):
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz, radius = p[9], p[10], p[11], p[12]
    half = p[14] - radius
    square, unit = radius * radius, ONE / radius
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            dx, dy = v[i + DX], v[i + DY]
            lx = m00 * dx + m01 * dy - m02
            ly = m10 * dx + m11 * dy - m12
            lz = m20 * dx + m21 * dy - m22
            flat = lx * lx + ly * ly
            inverse = ONE / (flat if flat > TINY else TINY)
            middle = -(ox * lx + oy * ly) * inverse
            qx, qy = ox + middle * lx, oy + middle * ly
            inside = square - (qx * qx + qy * qy)
            side = middle - math.sqrt((inside if inside > ZERO else ZERO) * inverse)
            z = oz + side * lz
            body = (z < half) & (z > -half)
            cap = half if z > ZERO else -half
            hz = oz - cap
            # beyond the cylinder's ends: the sphere at the end that the ray enters by
            across = ONE / (flat + lz * lz)
            nearest = -(ox * lx + oy * ly + hz * lz) * across
            rx, ry, rz = ox + nearest * lx, oy + nearest * ly, hz + nearest * lz
            round_ = square - (rx * rx + ry * ry + rz * rz)
            end = nearest - math.sqrt((round_ if round_ > ZERO else ZERO) * across)
            t = side if body else end
            enough = inside if body else round_
            hit = (inside > ZERO) & (enough > ZERO) & (t > NEAR) & (t < v[i + T])
            ux, uy, uz = (ox + t * lx) * unit, (oy + t * ly) * unit, (hz + t * lz) * unit
            uz = ZERO if body else uz
            v[i + T] = t if hit else v[i + T]
            v[i + ID] = g if hit else v[i + ID]
            v[i + FACE] = ZERO if hit else v[i + FACE]
            v[i + NX] = m00 * ux + m10 * uy + m20 * uz if hit else v[i + NX]
            v[i + NY] = m01 * ux + m11 * uy + m21 * uz if hit else v[i + NY]
            v[i + NZ] = m02 * ux + m12 * uy + m22 * uz if hit else v[i + NZ]


@jit
def _cylinder(s, first, last, p, g):
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz, radius, half = p[9], p[10], p[11], p[12], p[14]
    square, unit = radius * radius, ONE / radius
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            dx, dy = v[i + DX], v[i + DY]
            lx = m00 * dx + m01 * dy - m02
            ly = m10 * dx + m11 * dy - m12
            lz = m20 * dx + m21 * dy - m22
            flat = lx * lx + ly * ly
            inverse = ONE / (flat if flat > TINY else TINY)
            middle = -(ox * lx + oy * ly) * inverse
            qx, qy = ox + middle * lx, oy + middle * ly
            inside = square - (qx * qx + qy * qy)
            reach = math.sqrt((inside if inside > ZERO else ZERO) * inverse)
            slope = ONE / (lz if (lz > TINY) | (lz < -TINY) else TINY)
            low, high = (-half - oz) * slope, (half - oz) * slope
            top = low if low < high else high
            bottom = high if low < high else low
            side = middle - reach
            t = side if side > top else top
            leave = middle + reach
            leave = leave if leave < bottom else bottom
            hit = (inside > ZERO) & (t < leave) & (t > NEAR) & (t < v[i + T])
            capped = top > side
            ux = ZERO if capped else (ox + t * lx) * unit
            uy = ZERO if capped else (oy + t * ly) * unit
            uz = (-ONE if lz > ZERO else ONE) if capped else ZERO
            v[i + T] = t if hit else v[i + T]
            v[i + ID] = g if hit else v[i + ID]
            v[i + FACE] = (ONE if capped else ZERO) if hit else v[i + FACE]
            v[i + NX] = m00 * ux + m10 * uy + m20 * uz if hit else v[i + NX]
            v[i + NY] = m01 * ux + m11 * uy + m21 * uz if hit else v[i + NY]
            v[i + NZ] = m02 * ux + m12 * uy + m22 * uz if hit else v[i + NZ]


@jit
def _box(s, first, last, p, g):
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz, ax, ay, az = p[9], p[10], p[11], p[12], p[13], p[14]
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            dx, dy = v[i + DX], v[i + DY]
            lx = m00 * dx + m01 * dy - m02
            ly = m10 * dx + m11 * dy - m12
            lz = m20 * dx + m21 * dy - m22
            ix = ONE / (lx if (lx > TINY) | (lx < -TINY) else TINY)
            iy = ONE / (ly if (ly > TINY) | (ly < -TINY) else TINY)
            iz = ONE / (lz if (lz > TINY) | (lz < -TINY) else TINY)
            # the face's sign turns the slab's two crossings into entry and exit
            sx = -ONE if ix > ZERO else ONE
            sy = -ONE if iy > ZERO else ONE
            sz = -ONE if iz > ZERO else ONE
            tx, ty, tz = (sx * ax - ox) * ix, (sy * ay - oy) * iy, (sz * az - oz) * iz
            fx, fy, fz = (-sx * ax - ox) * ix, (-sy * ay - oy) * iy, (-sz * az - oz) * iz
            t = tx if tx > ty else ty
            t = t if t > tz else tz
            leave = fx if fx < fy else fy
            leave = leave if leave < fz else fz
            hit = (t < leave) & (t > NEAR) & (t < v[i + T])
            on_x = t == tx
            on_y = (t == ty) & (t != tx)
            ux = sx if on_x else ZERO
            uy = sy if on_y else ZERO
            uz = ZERO if on_x | on_y else sz
            v[i + T] = t if hit else v[i + T]
            v[i + ID] = g if hit else v[i + ID]
            v[i + FACE] = (ZERO if on_x else ONE if on_y else TWO) if hit else v[i + FACE]
            v[i + NX] = m00 * ux + m10 * uy + m20 * uz if hit else v[i + NX]
            v[i + NY] = m01 * ux + m11 * uy + m21 * uz if hit else v[i + NY]
            v[i + NZ] = m02 * ux + m12 * uy + m22 * uz if hit else v[i + NZ]


@jit
def _intersect(s, first, last, p, kind, row):
    """Keep the geom's hit in every lane where it is the nearest so far."""
    g = np.float32(row)
    if kind == PLANE:
        _plane(s, first, last, p, g)
    elif kind == CAPSULE:
        _capsule(s, first, last, p, g)
    elif kind == CYLINDER:
        _cylinder(s, first, last, p, g)
    elif kind == BOX:
        _box(s, first, last, p, g)
    else:
        _ellipsoid(s, first, last, p, g)


@jit
def _paint(s, first, last, p, row, pattern, focal):
    """Colour of the lanes that show this geom: one tone, or two split by a plane through it."""
    g = np.float32(row)
    r, g0, b = p[18], p[19], p[20]
    dr, dg, db = p[21] - r, p[22] - g0, p[23] - b
    ax, ay, az = p[27], p[28], p[29]
    offset = -(ax * p[24] + ay * p[25] + az * p[26])
    for c in range(first, last):
        v = s[c]
        if pattern == TWO_TONE:
            for i in range(LANES):
                mine = v[i + ID] == g
                t = v[i + T]
                side = t * (ax * v[i + DX] + ay * v[i + DY] - az) + offset
                mix = HALF + side * focal / t  # the edge is one pixel wide
                mix = mix if mix > ZERO else ZERO
                mix = mix if mix < ONE else ONE
                v[i + R] = r + dr * mix if mine else v[i + R]
                v[i + G] = g0 + dg * mix if mine else v[i + G]
                v[i + B] = b + db * mix if mine else v[i + B]
        else:
            for i in range(LANES):
                mine = v[i + ID] == g
                v[i + R] = r if mine else v[i + R]
                v[i + G] = g0 if mine else v[i + G]
                v[i + B] = b if mine else v[i + B]


@jit
def _wave(x, width):
    """Mean over `width` around x of the square wave that is +1 on [0, 1) and -1 on [1, 2)."""
    a, b = (x - HALF * width) * HALF, (x + HALF * width) * HALF
    a, b = TWO * (a - np.floor(a)) - ONE, TWO * (b - np.floor(b)) - ONE
    a, b = (a if a > ZERO else -a), (b if b > ZERO else -b)
    return (a - b) / width


@jit
def _checker(s, first, last, p, row, focal):
    """A checker in the geom's frame, averaged over the pixel's footprint on the surface."""
    g = np.float32(row)
    per = ONE / p[30]
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz = p[9] * per, p[10] * per, p[11] * per
    r, g0, b = p[18], p[19], p[20]
    dr, dg, db = p[21] - r, p[22] - g0, p[23] - b
    inward = np.float32(1e-3)  # a face that lies on a cell's border belongs to the cell inside
    least = LEAST
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            mine = v[i + ID] == g
            dx, dy, t = v[i + DX], v[i + DY], v[i + T]
            nx, ny, nz = v[i + NX], v[i + NY], v[i + NZ]
            facing = nx * dx + ny * dy - nz
            facing = facing if facing < -least else -least
            kx, ky = nx / facing, ny / facing
            step = t / focal * per
            # how the point on the surface moves for one pixel right, and one down
            ax, ay, az = (ONE - dx * kx) * step, -dy * kx * step, kx * step
            bx, by, bz = -dx * ky * step, (ONE - dy * ky) * step, ky * step
            px, py, pz = (
                t * dx * per - nx * inward,
                t * dy * per - ny * inward,
                -t * per - nz * inward,
            )
            wx = abs(m00 * ax + m01 * ay + m02 * az) + abs(m00 * bx + m01 * by + m02 * bz) + least
            wy = abs(m10 * ax + m11 * ay + m12 * az) + abs(m10 * bx + m11 * by + m12 * bz) + least
            wz = abs(m20 * ax + m21 * ay + m22 * az) + abs(m20 * bx + m21 * by + m22 * bz) + least
            x = m00 * px + m01 * py + m02 * pz + ox
            y = m10 * px + m11 * py + m12 * pz + oy
            z = m20 * px + m21 * py + m22 * pz + oz
            mix = HALF - HALF * _wave(x, wx) * _wave(y, wy) * _wave(z, wz)
            v[i + R] = r + dr * mix if mine else v[i + R]
            v[i + G] = g0 + dg * mix if mine else v[i + G]
            v[i + B] = b + db * mix if mine else v[i + B]


@jit
def _stripes(s, first, last, p, row, focal):
    """Stripes across the pattern's axis, averaged over the pixel's footprint like the checker."""
    g = np.float32(row)
    per = ONE / p[30]
    qx, qy, qz = p[27] * per, p[28] * per, p[29] * per
    offset = -(qx * p[24] + qy * p[25] + qz * p[26])
    r, g0, b = p[18], p[19], p[20]
    dr, dg, db = p[21] - r, p[22] - g0, p[23] - b
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            mine = v[i + ID] == g
            dx, dy, t = v[i + DX], v[i + DY], v[i + T]
            nx, ny, nz = v[i + NX], v[i + NY], v[i + NZ]
            facing = nx * dx + ny * dy - nz
            facing = facing if facing < -LEAST else -LEAST
            along = (qx * dx + qy * dy - qz) / facing
            width = (abs(qx - nx * along) + abs(qy - ny * along)) * (t / focal) + LEAST
            mix = HALF - HALF * _wave(t * (qx * dx + qy * dy - qz) + offset, width)
            v[i + R] = r + dr * mix if mine else v[i + R]
            v[i + G] = g0 + dg * mix if mine else v[i + G]
            v[i + B] = b + db * mix if mine else v[i + B]


@jit
def _hash(x, y, z):
    """A number in 0..1 that looks drawn at random for each point of an integer grid."""
    mixed = np.uint32(np.uint32(x * HASH_X) ^ np.uint32(y * HASH_Y) ^ np.uint32(z * HASH_Z))
    mixed = np.uint32(np.uint32(mixed ^ (mixed >> HASH_SHIFT)) * HASH_MIX)
    mixed = np.uint32(mixed ^ (mixed >> HASH_SHIFT))
    return np.float32(mixed >> HASH_DROP) * HASH_UNIT


@jit
def _noise(x, y, z):
    """Smooth noise of mean 1/2 between hashed values on the integer grid (value noise)."""
    fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
    u, w, q = x - fx, y - fy, z - fz
    u, w, q = u * u * (THREE - TWO * u), w * w * (THREE - TWO * w), q * q * (THREE - TWO * q)
    i, j, k = np.uint32(np.int32(fx)), np.uint32(np.int32(fy)), np.uint32(np.int32(fz))
    i1, j1, k1 = np.uint32(i + ONE_STEP), np.uint32(j + ONE_STEP), np.uint32(k + ONE_STEP)
    a, b = _hash(i, j, k), _hash(i, j1, k)
    a += (_hash(i1, j, k) - a) * u
    b += (_hash(i1, j1, k) - b) * u
    near = a + (b - a) * w
    a, b = _hash(i, j, k1), _hash(i, j1, k1)
    a += (_hash(i1, j, k1) - a) * u
    b += (_hash(i1, j1, k1) - b) * u
    return near + (a + (b - a) * w - near) * q


@jit
def _grain(s, first, last, p, row, focal):
    """Flecks along the geom's x axis: two octaves of noise, each faded out where it is too fine."""
    g = np.float32(row)
    length = ONE / p[30]
    width = FLECK_RATIO * length
    m00, m01, m02 = p[0] * length, p[1] * length, p[2] * length
    m10, m11, m12 = p[3] * width, p[4] * width, p[5] * width
    m20, m21, m22 = p[6] * width, p[7] * width, p[8] * width
    ox, oy, oz = p[9] * length, p[10] * width, p[11] * width
    r, g0, b = p[18], p[19], p[20]
    dr, dg, db = p[21] - r, p[22] - g0, p[23] - b
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            mine = v[i + ID] == g
            dx, dy, t = v[i + DX], v[i + DY], v[i + T]
            t = t if mine else ZERO
            nx, ny, nz = v[i + NX], v[i + NY], v[i + NZ]
            facing = nx * dx + ny * dy - nz
            facing = facing if facing < -LEAST else -LEAST
            kx, ky = nx / facing, ny / facing
            ax, ay, az = ONE - dx * kx, -dy * kx, kx
            bx, by, bz = -dx * ky, ONE - dy * ky, ky
            wx = abs(m00 * ax + m01 * ay + m02 * az) + abs(m00 * bx + m01 * by + m02 * bz)
            wy = abs(m10 * ax + m11 * ay + m12 * az) + abs(m10 * bx + m11 * by + m12 * bz)
            wz = abs(m20 * ax + m21 * ay + m22 * az) + abs(m20 * bx + m21 * by + m22 * bz)
            cells = wx if wx > wy else wy  # of the grid in a pixel
            cells = (cells if cells > wz else wz) * (t / focal)
            coarse, fine = TWO - TWO * cells, TWO - FOUR * cells
            coarse = coarse if coarse > ZERO else ZERO
            coarse = coarse if coarse < ONE else ONE
            fine = fine if fine > ZERO else ZERO
            fine = fine if fine < ONE else ONE
            x = t * (m00 * dx + m01 * dy - m02) + ox
            y = t * (m10 * dx + m11 * dy - m12) + oy
            z = t * (m20 * dx + m21 * dy - m22) + oz
            mix = COARSE_SHARE * coarse * (_noise(x, y, z) - HALF)
            mix += FINE_SHARE * fine * (_noise(TWO * x + HALF, TWO * y, TWO * z + HALF) - HALF)
            mix += HALF
            mix = mix if mix > ZERO else ZERO
            mix = mix if mix < ONE else ONE
            v[i + R] = r + dr * mix if mine else v[i + R]
            v[i + G] = g0 + dg * mix if mine else v[i + G]
            v[i + B] = b + db * mix if mine else v[i + B]


@jit
def _highlight(s, first, last, p, row, view):
    """Add the light's white highlight (Blinn 1977) to lanes that show this lit, shaded geom.

    Two lobes, cosines to the 16th and the 64th: satin has the broad one, polish the narrow one.
    """
    g = np.float32(row)
    lx, ly, lz = view[4], view[5], view[6]
    gloss, intensity = p[31], view[17]
    broad = BROAD_SHINE * intensity * gloss * (ONE - HALF * gloss)
    narrow = NARROW_SHINE * intensity * gloss * gloss
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            dx, dy, t = v[i + DX], v[i + DY], v[i + T]
            near = ONE / math.sqrt(dx * dx + dy * dy + ONE)
            hx, hy, hz = lx - dx * near, ly - dy * near, lz + near
            x = v[i + NX] * hx + v[i + NY] * hy + v[i + NZ] * hz
            square = hx * hx + hy * hy + hz * hz
            x = (x if x > ZERO else ZERO) / math.sqrt(square if square > TINY else TINY)
            x *= x
            x *= x
            x *= x
            x *= x
            shine = x * broad + x * x * x * x * narrow
            shine *= FOG / (t * t + FOG)
            shine = shine if (v[i + ID] == g) & (v[i + LIT] > ZERO) else ZERO
            red, green, blue = v[i + R] + shine, v[i + G] + shine, v[i + B] + shine
            v[i + R] = red if red < ONE else ONE
            v[i + G] = green if green < ONE else ONE
            v[i + B] = blue if blue < ONE else ONE


@jit
def _shadow_ellipsoid(s, first, last, p, g):
    ax, ay, az = ONE / p[12], ONE / p[13], ONE / p[14]
    m00, m01, m02 = p[0] * ax, p[1] * ax, p[2] * ax
    m10, m11, m12 = p[3] * ay, p[4] * ay, p[5] * ay
    m20, m21, m22 = p[6] * az, p[7] * az, p[8] * az
    ox, oy, oz = p[9] * ax, p[10] * ay, p[11] * az
    lx, ly, lz = p[15] * ax, p[16] * ay, p[17] * az
    inverse = ONE / (lx * lx + ly * ly + lz * lz)
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            t, dx, dy = v[i + T], v[i + DX], v[i + DY]
            px = ox + t * (m00 * dx + m01 * dy - m02)
            py = oy + t * (m10 * dx + m11 * dy - m12)
            pz = oz + t * (m20 * dx + m21 * dy - m22)
            middle = -(px * lx + py * ly + pz * lz) * inverse
            qx, qy, qz = px + middle * lx, py + middle * ly, pz + middle * lz
            dark = (qx * qx + qy * qy + qz * qz < ONE) & (middle > ZERO) & (v[i + ID] != g)
            v[i + LIT] = ZERO if dark else v[i + LIT]


@jit
def _shadow_capsule(s, first, last, p, g):
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz, radius, lx, ly, lz = p[9], p[10], p[11], p[12], p[15], p[16], p[17]
    half = p[14] - radius
    flat = lx * lx + ly * ly
    inverse = ONE / (flat if flat > TINY else TINY)
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            t, dx, dy = v[i + T], v[i + DX], v[i + DY]
            px = ox + t * (m00 * dx + m01 * dy - m02)
            py = oy + t * (m10 * dx + m11 * dy - m12)
            pz = oz + t * (m20 * dx + m21 * dy - m22)
            # the point of the axis that is nearest to the light's line
            z = pz - (px * lx + py * ly) * inverse * lz
            z = z if z < half else half
            pz -= z if z > -half else -half
            middle = -(px * lx + py * ly + pz * lz)
            gap = px * px + py * py + pz * pz - middle * middle
            dark = (gap < radius * radius) & (middle > ZERO) & (v[i + ID] != g)
            v[i + LIT] = ZERO if dark else v[i + LIT]


@jit
def _shadow_cylinder(s, first, last, p, g):
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz, radius, half, lx, ly, lz = p[9], p[10], p[11], p[12], p[14], p[15], p[16], p[17]
    flat = lx * lx + ly * ly
    inverse = ONE / (flat if flat > TINY else TINY)
    slope = ONE / (lz if (lz > TINY) | (lz < -TINY) else TINY)
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            t, dx, dy = v[i + T], v[i + DX], v[i + DY]
            px = ox + t * (m00 * dx + m01 * dy - m02)
            py = oy + t * (m10 * dx + m11 * dy - m12)
            pz = oz + t * (m20 * dx + m21 * dy - m22)
            middle = -(px * lx + py * ly) * inverse
            qx, qy = px + middle * lx, py + middle * ly
            inside = radius * radius - (qx * qx + qy * qy)
            reach = math.sqrt((inside if inside > ZERO else ZERO) * inverse)
            low, high = (-half - pz) * slope, (half - pz) * slope
            enter = low if low < high else high
            leave = high if low < high else low
            enter = enter if enter > middle - reach else middle - reach
            leave = leave if leave < middle + reach else middle + reach
            dark = (inside > ZERO) & (enter < leave) & (leave > ZERO) & (v[i + ID] != g)
            v[i + LIT] = ZERO if dark else v[i + LIT]


@jit
def _shadow_box(s, first, last, p, g):
    m00, m01, m02 = p[0], p[1], p[2]
    m10, m11, m12 = p[3], p[4], p[5]
    m20, m21, m22 = p[6], p[7], p[8]
    ox, oy, oz, ax, ay, az, lx, ly, lz = (
        p[9],
        p[10],
        p[11],
        p[12],
        p[13],
        p[14],
        p[15],
        p[16],
        p[17],
    )
    ix = ONE / (lx if (lx > TINY) | (lx < -TINY) else TINY)
    iy = ONE / (ly if (ly > TINY) | (ly < -TINY) else TINY)
    iz = ONE / (lz if (lz > TINY) | (lz < -TINY) else TINY)
    sx = ax if ix > ZERO else -ax
    sy = ay if iy > ZERO else -ay
    sz = az if iz > ZERO else -az
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            t, dx, dy = v[i + T], v[i + DX], v[i + DY]
            px = ox + t * (m00 * dx + m01 * dy - m02)
            py = oy + t * (m10 * dx + m11 * dy - m12)
            pz = oz + t * (m20 * dx + m21 * dy - m22)
            x, y, z = (-sx - px) * ix, (-sy - py) * iy, (-sz - pz) * iz
            enter = x if x > y else y
            enter = enter if enter > z else z
            x, y, z = (sx - px) * ix, (sy - py) * iy, (sz - pz) * iz
            leave = x if x < y else y
            leave = leave if leave < z else z
            dark = (enter < leave) & (leave > ZERO) & (v[i + ID] != g)
            v[i + LIT] = ZERO if dark else v[i + LIT]


@jit
def _shadow(s, first, last, p, kind, row):
    """Put out the light of every lane that this geom stands in front of (never its own)."""
    g = np.float32(row)
    if kind == CAPSULE:
        _shadow_capsule(s, first, last, p, g)
    elif kind == CYLINDER:
        _shadow_cylinder(s, first, last, p, g)
    elif kind == BOX:
        _shadow_box(s, first, last, p, g)
    elif kind != PLANE:
        _shadow_ellipsoid(s, first, last, p, g)


@jit
def _start(s, first, last):
    for c in range(first, last):
        v = s[c]
        for i in range(LANES):
            v[i + T] = FAR
            v[i + ID] = -ONE
            v[i + FACE] = ZERO
            v[i + NX] = ZERO
            v[i + NY] = ZERO
            v[i + NZ] = ZERO
            v[i + R] = ZERO
            v[i + G] = ZERO
            v[i + B] = ZERO
            v[i + LIT] = ONE


@jit
def _finish(s, chunks, view):
    """Linear colour 0..1 of every lane: light, fog and sky."""
    lx, ly, lz = view[4], view[5], view[6]
    ux, uy, uz = view[7], view[8], view[9]
    hr, hg, hb = view[10], view[11], view[12]
    zr, zg, zb = view[13] - hr, view[14] - hg, view[15] - hb
    ambient, intensity = view[16], view[17]
    for c in range(chunks):
        v = s[c]
        for i in range(LANES):
            dx, dy, t = v[i + DX], v[i + DY], v[i + T]
            sky = v[i + ID] < ZERO
            up = ux * dx + uy * dy - uz
            up = (up if up > ZERO else ZERO) / math.sqrt(dx * dx + dy * dy + ONE)
            up *= TWO - up
            facing_sky = v[i + NX] * ux + v[i + NY] * uy + v[i + NZ] * uz
            lit = (v[i + NX] * lx + v[i + NY] * ly + v[i + NZ] * lz) * v[i + LIT]
            lit = lit if lit > ZERO else ZERO
            v[i + LIT] = lit
            shade = ambient * (BASE_SHADE + SKY_SHADE * facing_sky) + intensity * lit
            clear = FOG / (t * t + FOG)
            shade *= clear
            haze = ONE - clear
            r = hr + zr * up if sky else v[i + R] * shade + hr * haze
            g = hg + zg * up if sky else v[i + G] * shade + hg * haze
            b = hb + zb * up if sky else v[i + B] * shade + hb * haze
            v[i + R] = r if r < ONE else ONE
            v[i + G] = g if g < ONE else ONE
            v[i + B] = b if b < ONE else ONE


@jit
def _encode(v):
    """sRGB 0..255, rounded, in place of the chunk's linear colour."""
    for i in range(3 * LANES):
        x = v[i + R]
        q = math.sqrt(x)
        y = S0 + q * (S1 + q * (S2 + q * (S3 + q * (S4 + q * S5))))
        y = FOOT_SLOPE * x if x < FOOT else y
        y = FULL * y + HALF
        y = y if y > ZERO else ZERO
        v[i + R] = np.floor(y if y < FULL else FULL)


@jit
def _span(edges, chunks, low, high):
    """Chunks that overlap the pixels low..high-1; `edges` has each chunk's first and last pixel."""
    first = 0
    while first < chunks and edges[first, 1] < low:
        first += 1
    last = first
    while last < chunks and edges[last, 0] < high:
        last += 1
    return first, last


@jit
def _fill_spans(spans, box, outline, edges, narrow):
    """Pixels x0, x1 of every row in a box that the hull of projected points may touch.

    Args:
        spans: (height, 2) int32.
        box: Bounds x0 x1 y0 y1 of the points.
        outline: (point, 2) float32 px; NaN first: somewhere behind the camera, so the whole box.
        edges: (edge, 2) of points, the hull's own among them.
        narrow: Boxes up to so many pixels wide are taken whole.
    """
    x0, x1, y0, y1 = box[0], box[1], box[2], box[3]
    if (outline[0, 0] != outline[0, 0]) | (x1 - x0 <= narrow):
        for y in range(y0, y1):
            spans[y, 0], spans[y, 1] = x0, x1
        return
    for y in range(y0, y1):
        spans[y, 0], spans[y, 1] = x1, x0
    for e in range(len(edges)):
        a, b = edges[e, 0], edges[e, 1]
        if outline[a, 1] > outline[b, 1]:
            a, b = b, a
        xa, ya, xb, yb = outline[a, 0], outline[a, 1], outline[b, 0], outline[b, 1]
        slope = (xb - xa) / (yb - ya) if yb - ya > TINY else ZERO
        for y in range(max(int(ya) - 1, y0), min(int(yb) + 2, y1)):
            low, high = np.float32(y - 1), np.float32(y + 2)  # a pixel of slack
            left = xa + slope * (low - ya) if low > ya else xa
            right = xb + slope * (high - yb) if high < yb else xb
            if left > right:
                left, right = right, left
            spans[y, 0] = max(min(spans[y, 0], int(left) - 1), x0)
            spans[y, 1] = min(max(spans[y, 1], int(right) + 2), x1)


@jit
def _fill_all_spans(own, shadow, boxes, outlines, thin, edges):
    for g in range(len(boxes)):
        narrow = 0 if thin[g] else NARROW_PX
        _fill_spans(own[g], boxes[g, 0:4], outlines[g], edges[:BOX_EDGES], narrow)
        _fill_spans(shadow[g], boxes[g, 4:8], outlines[g], edges, NARROW_PX)


@jit
def _trace(s, chunks, edges, y, geoms, kinds, patterns, boxes, own, shadow, view, shaded):
    """Hits of every lane in the row, and its linear colour where `shaded`."""
    _start(s, 0, chunks)
    for g in range(len(kinds)):
        if boxes[g, 2] <= y < boxes[g, 3]:
            first, last = _span(edges, chunks, own[g, y, 0], own[g, y, 1])
            _intersect(s, first, last, geoms[g], kinds[g], g)
    if not shaded:
        return
    for g in range(len(kinds)):
        if boxes[g, 2] <= y < boxes[g, 3]:
            first, last = _span(edges, chunks, own[g, y, 0], own[g, y, 1])
            if patterns[g] == CHECKER:
                _checker(s, first, last, geoms[g], g, view[0])
            elif patterns[g] == STRIPES:
                _stripes(s, first, last, geoms[g], g, view[0])
            elif patterns[g] == GRAIN:
                _grain(s, first, last, geoms[g], g, view[0])
            else:
                _paint(s, first, last, geoms[g], g, patterns[g], view[0])
    for g in range(len(kinds)):
        if boxes[g, 6] <= y < boxes[g, 7]:
            first, last = _span(edges, chunks, shadow[g, y, 0], shadow[g, y, 1])
            _shadow(s, first, last, geoms[g], kinds[g], g)
    _finish(s, chunks, view)
    for g in range(len(kinds)):
        if (geoms[g, GLOSS] > ZERO) & (boxes[g, 2] <= y < boxes[g, 3]):
            first, last = _span(edges, chunks, own[g, y, 0], own[g, y, 1])
            _highlight(s, first, last, geoms[g], g, view)


@jit
def _aim(s, edges, y, width, view):
    """Rays through the pixel centres of row y."""
    chunks = (width + LANES - 1) // LANES
    dy = -(np.float32(y) + HALF - view[3]) / view[1]
    for c in range(chunks):
        edges[c, 0], edges[c, 1] = c * LANES, c * LANES + LANES - 1
        v = s[c]
        for i in range(LANES):
            v[i + DX] = (np.float32(c * LANES + i) + HALF - view[2]) / view[0]
            v[i + DY] = dy
    return chunks


@jit
def _store_rgb(v, rgb, y, x, count):
    for i in range(count):
        rgb[y, x + i, 0] = np.uint8(v[i + R])
        rgb[y, x + i, 1] = np.uint8(v[i + G])
        rgb[y, x + i, 2] = np.uint8(v[i + B])


@jit
def _store_geometry(v, depth, segmentation, normals, labels, y, x, count):
    """Depth, label and normal of a chunk; arrays of no rows are not wanted."""
    if len(segmentation):
        for i in range(count):
            segmentation[y, x + i, 0] = labels[int(v[i + ID]) + 1]
    if len(depth):
        for i in range(count):
            depth[y, x + i, 0] = v[i + T] if v[i + ID] >= ZERO else np.float32(np.inf)
    if len(normals):
        for i in range(count):
            normals[y, x + i, 0] = v[i + NX]
            normals[y, x + i, 1] = v[i + NY]
            normals[y, x + i, 2] = v[i + NZ]


@jit
def _border_pixels(keys, thin, boxes, own, y, pixels):
    """Pixels of row y where surfaces or shadows meet, or that a thin geom may touch.

    A geom thinner than two pixels can slip between pixel centres, so its whole hull counts.
    """
    height, width = keys.shape
    above, below = max(y - 1, 0), min(y + 1, height - 1)
    for x in range(width):
        left, right = max(x - 1, 0), min(x + 1, width - 1)
        key = keys[y, x]
        differs = (keys[above, x] != key) | (keys[below, x] != key)
        pixels[x] = differs | (keys[y, left] != key) | (keys[y, right] != key)
    for g in range(len(thin)):
        if thin[g] and boxes[g, 2] <= y < boxes[g, 3]:
            for x in range(own[g, y, 0], own[g, y, 1]):
                pixels[x] = 1
    count = 0
    for x in range(width):
        if pixels[x]:
            pixels[count] = x
            count += 1
    return count


@jit
def _aim_samples(s, edges, pixels, count, y, offsets, view):
    """Rays through the sub-pixel samples of the listed pixels of row y."""
    samples = len(offsets)
    lanes = count * samples
    chunks = (lanes + LANES - 1) // LANES
    for c in range(chunks):
        v = s[c]
        edges[c, 0] = pixels[c * LANES // samples]
        edges[c, 1] = pixels[min((c * LANES + LANES - 1) // samples, count - 1)]
        for i in range(LANES):
            k = min(c * LANES + i, lanes - 1)
            x = np.float32(pixels[k // samples]) + offsets[k % samples, 0]
            v[i + DX] = (x - view[2]) / view[0]
            v[i + DY] = -(np.float32(y) + offsets[k % samples, 1] - view[3]) / view[1]
    return chunks


@jit
def _store_means(s, pixels, count, y, samples, rgb):
    """Write the listed pixels of row y as the mean of their samples in linear light."""
    share = ONE / np.float32(samples)
    for n in range(count):
        r, g, b = ZERO, ZERO, ZERO
        for k in range(n * samples, n * samples + samples):
            v = s[k // LANES]
            i = k % LANES
            r += v[i + R]
            g += v[i + G]
            b += v[i + B]
        # lane n of chunk n // 16 was read already: samples >= 1 lanes belong to each pixel
        v = s[n // LANES]
        i = n % LANES
        v[i + R], v[i + G], v[i + B] = r * share, g * share, b * share
    for c in range((count + LANES - 1) // LANES):
        v = s[c]
        _encode(v)
        for i in range(min(LANES, count - c * LANES)):
            x = pixels[c * LANES + i]
            rgb[y, x, 0] = np.uint8(v[i + R])
            rgb[y, x, 1] = np.uint8(v[i + G])
            rgb[y, x, 2] = np.uint8(v[i + B])


@jit
def draw(
    geoms,
    views,
    kinds,
    patterns,
    labels,
    boxes,
    outlines,
    thin,
    offsets,
    rgb,
    depth,
    segmentation,
    normals,
    size,
):
    """Fill the channels of every frame; one without rows is not wanted.

    Args:
        geoms: (time, geom, GEOM_COLUMNS) float32.
        views: (time, VIEW_COLUMNS) float32.
        kinds, patterns: (geom,) int32.
        labels: (geom + 1,) uint8, segmentation of the sky and of each geom.
        boxes: (time, geom, 8) int32: pixels x0 x1 y0 y1 of the geom, and of what it may shadow.
        outlines: (time, geom, 16, 2) float32 px: corners of the geom's box, and of the box moved
            to where its shadow ends.
        thin: (time, geom) uint8.
        offsets: (sample, 2) float32 in the pixel; none: no smoothing of borders.
        rgb, depth, segmentation, normals: (time, height, width, channel).
        size: height, width.
    """
    height, width = size
    chunks = (width * max(len(offsets), 1) + LANES - 1) // LANES
    s = np.empty((chunks, SCRATCH), np.float32)
    edges = np.empty((chunks, 2), np.int32)
    keys = np.empty((height, width), np.int32)
    pixels = np.empty(width, np.int32)
    own = np.empty((len(kinds), height, 2), np.int32)
    shadow = np.empty((len(kinds), height, 2), np.int32)
    for t in range(len(views)):
        view, box = views[t], boxes[t]
        _fill_all_spans(own, shadow, box, outlines[t], thin[t], HULL_EDGES)
        for y in range(height):
            chunks = _aim(s, edges, y, width, view)
            _trace(
                s, chunks, edges, y, geoms[t], kinds, patterns, box, own, shadow, view, rgb.size > 0
            )
            for c in range(chunks):
                v = s[c]
                x = c * LANES
                count = min(LANES, width - x)
                _store_geometry(v, depth[t], segmentation[t], normals[t], labels, y, x, count)
                if rgb.size > 0:
                    for i in range(count):
                        lit = 1 if v[i + LIT] > ZERO else 0
                        keys[y, x + i] = int(v[i + ID]) * 8 + int(v[i + FACE]) * 2 + lit
                    _encode(v)
                    _store_rgb(v, rgb[t], y, x, count)
        if rgb.size > 0 and len(offsets):
            for y in range(height):
                count = _border_pixels(keys, thin[t], box, own, y, pixels)
                if count:
                    chunks = _aim_samples(s, edges, pixels, count, y, offsets, view)
                    _trace(
                        s, chunks, edges, y, geoms[t], kinds, patterns, box, own, shadow, view, True
                    )
                    _store_means(s, pixels, count, y, len(offsets), rgb[t])


@jit
def _note_labels(row, present, shown):
    """Which labels each chunk of a row shows, as 256 bits, and how many pixels of each."""
    present[:] = NO_LABELS
    x, width = 0, len(row)
    while x < width:  # runs: a row shows few labels
        start, label = x, row[x]
        while x < width and row[x] == label:
            x += 1
        shown[label] += x - start
        for c in range(start // LANES, (x - 1) // LANES + 1):
            present[c, label >> 6] |= ONE_LABEL << np.uint64(label & 63)


@jit
def _count_behind(v, row, mine, x, count):
    """Lanes that hit, of the chunk at pixel x, where the picture shows something else."""
    total = 0
    for i in range(count):
        total += 1 if (v[i + ID] >= ZERO) & (row[x + i] != mine) else 0
    return total


@jit
def silhouettes(
    geoms, views, kinds, bodies, boxes, outlines, segmentation, hides, unchanged, visible, out
):
    """Pixels of each body: those that show, and its whole silhouette's, hidden ones too.

    What shows is counted; a body is traced alone only in chunks that show a label which may hide
    it.

    Args:
        geoms, views, kinds, boxes, outlines: As in draw.
        bodies: (geom,) int32 rows, rising.
        segmentation: (time, height, width, 1) uint8 of the whole scene.
        hides: (time, body, 4) uint64, a bit for each label that may stand in front of the body.
        unchanged: (time, body) uint8, 1 where the body is seen just as in the frame before.
        visible, out: (time, body) int32, zeros.
    """
    height, width = segmentation.shape[1:3]
    chunks = (width + LANES - 1) // LANES
    s = np.empty((chunks, SCRATCH), np.float32)
    edges = np.empty((chunks, 2), np.int32)
    own = np.empty((len(kinds), height, 2), np.int32)
    present = np.empty((chunks, 4), np.uint64)
    shown = np.empty(256, np.int32)
    for t in range(len(views)):
        for g in range(len(kinds)):
            if not unchanged[t, bodies[g]]:
                outline = outlines[t, g]
                _fill_spans(own[g], boxes[t, g, 0:4], outline, HULL_EDGES[:BOX_EDGES], NARROW_PX)
        shown[:] = 0
        for y in range(height):
            row = segmentation[t, y, :, 0]
            _note_labels(row, present, shown)
            aimed = False
            end = 0
            while end < len(kinds):
                start, body = end, bodies[end]
                left, right = width, 0
                while end < len(kinds) and bodies[end] == body:
                    if boxes[t, end, 2] <= y < boxes[t, end, 3]:
                        left, right = min(left, own[end, y, 0]), max(right, own[end, y, 1])
                    end += 1
                if left >= right or unchanged[t, body]:
                    continue
                b0, b1, b2, b3 = hides[t, body]
                for c in range(left // LANES, (right + LANES - 1) // LANES):
                    here = (present[c, 0] & b0) | (present[c, 1] & b1)
                    if not (here | (present[c, 2] & b2) | (present[c, 3] & b3)):
                        continue
                    if not aimed:
                        _aim(s, edges, y, width, views[t])
                        aimed = True
                    _start(s, c, c + 1)
                    for g in range(start, end):
                        if boxes[t, g, 2] <= y < boxes[t, g, 3]:
                            _intersect(s, c, c + 1, geoms[t, g], kinds[g], g)
                    count = min(LANES, width - c * LANES)
                    out[t, body] += _count_behind(s[c], row, body + 1, c * LANES, count)
        for body in range(out.shape[1]):
            visible[t, body] = shown[body + 1]
            out[t, body] = (
                out[t - 1, body] if unchanged[t, body] else out[t, body] + shown[body + 1]
            )
