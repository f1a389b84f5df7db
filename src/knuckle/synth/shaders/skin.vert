#version 330
// A hand's vertices are posed already; this only lights them coarsely and projects them.
in vec3 position;
in vec3 normal;
in float open_sky;
in float bend;
in vec2 uv;
in float forearm;
uniform mat4 projection;
uniform mat4 to_lamp;
uniform vec3 ambient[9];
out vec3 at;
out vec3 facing;
out vec3 sky;
out vec2 texture_at;
out vec4 lamp_at;
out float beyond_wrist;
out float bent;

vec3 irradiance(vec3 n) {
    return ambient[0] * 0.282095 + 0.488603 * (ambient[1] * n.y + ambient[2] * n.z + ambient[3] * n.x)
        + 1.092548 * (ambient[4] * n.x * n.y + ambient[5] * n.y * n.z + ambient[7] * n.x * n.z)
        + ambient[6] * 0.315392 * (3.0 * n.z * n.z - 1.0) + ambient[8] * 0.546274 * (n.x * n.x - n.y * n.y);
}

void main() {
    at = position;
    facing = normal;
    // Light that enters skin elsewhere leaves here: the normal is softened towards the eye for the diffuse part.
    sky = max(irradiance(normal), 0.0) * mix(vec3(open_sky), pow(vec3(open_sky), vec3(0.6, 0.9, 1.0)), 0.7);
    texture_at = uv;
    lamp_at = to_lamp * vec4(position + normal * 0.0012, 1.0);
    beyond_wrist = forearm;
    bent = clamp(bend, -0.5, 1.2);
    gl_Position = projection * vec4(position, 1.0);
}
