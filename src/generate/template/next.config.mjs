/** @type {import('next').NextConfig} */
const config = {
  // One directory with all that the server needs: what the Dockerfile copies.
  output: 'standalone',
  poweredByHeader: false,
  reactStrictMode: true,
};

export default config;
