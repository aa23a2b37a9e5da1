import { PARAMETER_NAMES, parseParameters } from '../../src/controller/parameters.ts';
import {
  decodePublishContext,
  decodeVolumeContext,
  encodeVolumeContext,
} from '../../src/csi/volume-context.ts';
import { type AnyKind, anyKind } from './kind.ts';
import { isPoolPath } from './model.ts';
import type { Random } from './random.ts';
import { foreseen, must, mustEqual, type Tally } from './tally.ts';
import { type Fitting, oddMap, oddText, simplerMaps } from './texts.ts';

type StringMap = Record<string, string>;

const UNIT_BYTES = 2 ** 21;
/** Beyond what chown(2) takes, and no numbers. */
const ID = ['4294967295', '4294967296', '-1', '1e3', '0x1'];

/** What a decoder gave, or undefined where it refused, which it does with INVALID alone. */
function decoded<T>(group: string, tally: Tally, decode: () => T): T | undefined {
  try {
    const result = decode();
    tally.count(group, 'accepted');
    return result;
  } catch (error) {
    const fault = foreseen(error);
    mustEqual(fault.code, 'INVALID', `${group}: ${fault.message}`);
    tally.count(group, fault.code);
    return undefined;
  }
}

function runParameters(map: StringMap, _: Random, tally: Tally): void {
  const found = decoded('parameters', tally, () => parseParameters(map));
  if (found === undefined) return;
  const unknown = Object.keys(map).filter((key) => {
    return !PARAMETER_NAMES.includes(key) && !key.startsWith('csi.storage.k8s.io/');
  });
  mustEqual(unknown.join(), '', 'unknown parameters that were accepted');
  const { fileName, mode, uid, gid, layout } = found;
  must(isPoolPath(`volume/${fileName}`), `file name ${JSON.stringify(fileName)}`);
  must(!fileName.includes('/'), `file name ${JSON.stringify(fileName)}`);
  must(Buffer.byteLength(`${'v'.repeat(40)}/${fileName}`) <= 79, 'the file’s path is too long');
  must(Number.isInteger(mode) && mode >= 0 && mode <= 0o777, `mode ${mode}`);
  for (const id of [uid, gid])
    must(Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1, `id ${id}`);
  if (!('chunkBytes' in layout)) return;
  must(layout.strips >= 2 && layout.strips <= 16, `${layout.strips} strips`);
  const { chunkBytes } = layout;
  const isPower = Number.isSafeInteger(chunkBytes) && Number.isInteger(Math.log2(chunkBytes));
  must(isPower && chunkBytes >= UNIT_BYTES, `chunks of ${chunkBytes}`);
}

function runContext(map: StringMap, random: Random, tally: Tally): void {
  const volumeId = random.oneIn(4) ? oddText(random) : 'pvc-1';
  const publish = decoded('publish context', tally, () => decodePublishContext(map));
  if (publish !== undefined) mustEqual(typeof publish.readonly, 'boolean', 'readonly');
  const found = decoded('volume context', tally, () => decodeVolumeContext(volumeId, map));
  if (found === undefined) return;
  must(isPoolPath(found.path), () => `path ${JSON.stringify(found.path)}`);
  must(Number.isSafeInteger(found.logPosition) && found.logPosition >= 0, 'log position');
  must(Number.isSafeInteger(found.logGeneration) && found.logGeneration >= 0, 'generation');
  must(found.pool !== '', 'a pool without a name');
  const again = decodeVolumeContext(volumeId, encodeVolumeContext(found));
  mustEqual(JSON.stringify(again), JSON.stringify(found), 'encoded and decoded again');
}

function mapKind(
  name: string,
  weight: number,
  fitting: Fitting,
  run: (map: StringMap, random: Random, tally: Tally) => void,
): AnyKind {
  return anyKind<StringMap>({
    name,
    weight,
    generate: (random) => oddMap(random, fitting),
    run,
    shrink: simplerMaps,
    show: (map) => [JSON.stringify(map)],
  });
}

export const CSI_KINDS: readonly AnyKind[] = [
  mapKind(
    'StorageClass parameters',
    10,
    {
      pool: [['fast', 'slow'], ['']],
      dataPath: [
        ['any', 'dax'],
        ['Any', 'push'],
      ],
      fileName: [
        ['data', 'größe', 'x'.repeat(38)],
        ['x'.repeat(39), 'é'.repeat(20), 'a\0b', 'a\u0085', '.a', 'a/b', ' a'],
      ],
      mode: [
        ['0640', '666'],
        ['1777', '0888', '7'],
      ],
      uid: [['0', '4294967294'], ID],
      gid: [['0', '100'], ID],
      strips: [
        ['2', '4', '16'],
        ['0', '1', '17', '04'],
      ],
      chunkSize: [
        ['4Mi', '2097152', '1G'],
        ['1Mi', '3Mi', '6M', '2097153', '9007199254740992', '0'],
      ],
      'csi.storage.k8s.io/pvc/name': [['claim'], ['']],
    },
    runParameters,
  ),
  mapKind(
    'volume context',
    10,
    {
      pool: [['fast', 'slow'], ['']],
      fsUuid: [['', '20212223-2425-4627-a829-2a2b2c2d2e2f'], ['x']],
      path: [
        ['pvc-1', 'a/b', '.data'],
        ['.meta', '.meta/.log', '/a', 'a/', 'a/../b', 'a\0b', 'y'.repeat(80), '.'],
      ],
      logPosition: [
        ['0', '12'],
        ['9007199254740992', '1e3', '-1', '0x1'],
      ],
      logGeneration: [
        ['0', '65536'],
        ['x', '-1', '99999999999999999'],
      ],
      dataPath: [['any', 'dax'], ['push']],
      readonly: [['true', 'false'], ['1']],
    },
    runContext,
  ),
];
