import { packageVersion } from './package.ts';
import type { Handlers } from './rpc.ts';

export const DRIVER_NAME = 'csi.famfs.io';

export interface IdentityOptions {
  /** Default `csi.famfs.io`. */
  readonly name?: string;
  /** Whether the plugin has a Controller service, here or in another process of the driver. */
  readonly controllerService: boolean;
  /**
   * True when requests can be served, false while the process is still starting. Throws
   * PRECONDITION when it cannot work and a restart may help: the probe of Kubernetes acts on it.
   */
  readonly health: () => boolean | Promise<boolean>;
}

/** The Identity service, the same in the controller and in the node plugin. */
export function identityService(options: IdentityOptions): Handlers<'Identity'> {
  const version = packageVersion();
  return {
    getPluginInfo: () => ({ name: options.name ?? DRIVER_NAME, vendor_version: version }),
    getPluginCapabilities: () => ({
      capabilities: options.controllerService
        ? [
            { service: { type: 'CONTROLLER_SERVICE' } },
            { service: { type: 'VOLUME_ACCESSIBILITY_CONSTRAINTS' } },
          ]
        : [],
    }),
    probe: async () => ({ ready: { value: await options.health() } }),
  };
}
