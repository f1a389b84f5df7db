#version 330
flat in float value;
in vec3 here;
in vec2 along;
out vec4 colour;

#include "body_cut.glsl"

void main() {
    if (is_cut(floor(along.y + 0.5), here, along.x, 0.0)) discard;
    colour = vec4(value / 255.0, 0.0, 0.0, 1.0);
}
